/** Takes a secret out of a byte stream. `push` gives what may pass on now, `end` the rest. */
interface Concealer {
  push(chunk: Buffer): Buffer
  end(): Buffer
}

/** Shorter ones would hit ordinary text; real keys are several times as long. */
const minSecret = 8

/** How many bytes at the end of `bytes` could be the beginning of `secret`. */
function openEnd(bytes: Buffer, secret: Buffer): number {
  for (let length = Math.min(secret.length - 1, bytes.length); length > 0; length--)
    if (bytes.subarray(-length).equals(secret.subarray(0, length))) return length
  return 0
}

function blank(bytes: Buffer, secret: Buffer): Buffer {
  let at = bytes.indexOf(secret)
  if (at === -1) return bytes
  const clean = Buffer.from(bytes)
  for (; at !== -1; at = clean.indexOf(secret, at)) clean.fill('*', at, at + secret.length)
  return clean
}

/** Each occurrence becomes asterisks of the same length. Only what may be the beginning of one is held back. */
export function concealer(secret: string | undefined): Concealer {
  const needle = Buffer.from(secret ?? '')
  if (needle.length < minSecret) return { push: (chunk) => chunk, end: () => Buffer.alloc(0) }
  let held: Buffer = Buffer.alloc(0)
  return {
    push: (chunk) => {
      const bytes = blank(held.length === 0 ? chunk : Buffer.concat([held, chunk]), needle)
      const open = openEnd(bytes, needle)
      held = bytes.subarray(bytes.length - open)
      return bytes.subarray(0, bytes.length - open)
    },
    end: () => held,
  }
}
