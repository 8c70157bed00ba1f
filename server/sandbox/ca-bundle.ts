import { stat } from 'node:fs/promises'

/** Debian's and Ubuntu's, Fedora's, Alpine's. */
const caBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
]

/** The host's file of trusted certificates: a company's own may be among them. */
export async function findCaBundle(): Promise<string | null> {
  for (const file of caBundles) if ((await stat(file).catch(() => null))?.isFile() === true) return file
  return null
}
