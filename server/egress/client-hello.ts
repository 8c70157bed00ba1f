import { parseHost } from './target.ts'

export type HelloState =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'not_tls' }
  /** `serverName` is null when the client sent none. */
  | { readonly kind: 'hello'; readonly serverName: string | null }
  | { readonly kind: 'malformed'; readonly reason: string }

/** A ClientHello with post-quantum key shares has about 2 kB; a large session ticket adds some. */
const maxHello = 32 * 1024
const maxRecord = 2 ** 14
const handshakeRecord = 22
const clientHello = 1
const serverNameExtension = 0
const hostNameType = 0

class Malformed extends Error {}

/** Reads big-endian integers and length-prefixed fields (RFC 8446, section 3) and never past the end. */
class Fields {
  #at = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  take(length: number): Buffer {
    if (length > this.left) throw new Malformed('a field runs past the end')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  integer(bytes: 1 | 2): number {
    return this.take(bytes).readUIntBE(0, bytes)
  }

  vector(lengthBytes: 1 | 2): Fields {
    return new Fields(this.take(this.integer(lengthBytes)))
  }
}

function readServerName(list: Fields): string {
  const names = list.vector(2)
  if (names.integer(1) !== hostNameType) throw new Malformed('the server name is of an unknown type')
  const name = names.take(names.integer(2)).toString('latin1')
  if (names.left > 0 || list.left > 0) throw new Malformed('more than one server name')
  const host = parseHost(name)
  if (!host) throw new Malformed('the server name is no host name')
  return host.host
}

/** `body` is the message after its 4-byte header (RFC 8446, section 4.1.2; RFC 6066, section 3). */
function readHello(body: Buffer): HelloState {
  const fields = new Fields(body)
  fields.take(2 + 32)
  fields.vector(1)
  fields.vector(2)
  fields.vector(1)
  if (fields.left === 0) return { kind: 'hello', serverName: null }
  const extensions = fields.vector(2)
  if (fields.left > 0) throw new Malformed('bytes after the extensions')
  let serverName: string | null = null
  while (extensions.left > 0) {
    const type = extensions.integer(2)
    const data = extensions.vector(2)
    if (type !== serverNameExtension) continue
    if (serverName !== null) throw new Malformed('two server_name extensions')
    serverName = readServerName(data)
  }
  return { kind: 'hello', serverName }
}

/**
 * Finds the server name in the first bytes of a connection, however they are cut into chunks and records.
 * Work and memory are linear in the bytes pushed; more than 32 KiB of ClientHello is malformed.
 */
export class ClientHelloReader {
  #state: HelloState = { kind: 'incomplete' }
  #header: number[] = []
  #recordLeft = 0
  #message: Buffer[] = []
  #messageLength = 0
  #records = 0

  push(chunk: Buffer): HelloState {
    try {
      for (let at = 0; at < chunk.length && this.#state.kind === 'incomplete'; ) {
        if (this.#recordLeft === 0) this.#readHeader(chunk[at++] as number)
        else {
          const part = chunk.subarray(at, at + this.#recordLeft)
          at += part.length
          this.#recordLeft -= part.length
          this.#readMessage(part)
        }
      }
    } catch (error) {
      if (!(error instanceof Malformed)) throw error
      this.#state = { kind: 'malformed', reason: error.message }
    }
    return this.#state
  }

  #readHeader(byte: number): void {
    const header = this.#header
    header.push(byte)
    if (header[0] !== handshakeRecord || (header[1] ?? 3) !== 3) {
      if (this.#records > 0) throw new Malformed('another record inside the ClientHello')
      this.#state = { kind: 'not_tls' }
    }
    if (header.length < 5) return
    this.#recordLeft = (header[3] as number) * 256 + (header[4] as number)
    this.#header = []
    this.#records++
    if (this.#recordLeft === 0 || this.#recordLeft > maxRecord)
      throw new Malformed('a record of a bad length')
  }

  #readMessage(part: Buffer): void {
    this.#message.push(part)
    this.#messageLength += part.length
    const first = this.#message[0] as Buffer
    if (first[0] !== clientHello) throw new Malformed('the first message is no ClientHello')
    if (this.#messageLength < 4) return
    if (first.length < 4) this.#message = [Buffer.concat(this.#message)]
    const length = (this.#message[0] as Buffer).readUIntBE(1, 3)
    if (length > maxHello) throw new Malformed('the ClientHello is too large')
    if (this.#messageLength < 4 + length) return
    this.#state = readHello(Buffer.concat(this.#message).subarray(4, 4 + length))
  }
}
