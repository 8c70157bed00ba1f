import type { Writable } from 'node:stream'

/** Resolves when the stream takes more: false when its reader has gone. */
export function writeTo(stream: Writable, bytes: Buffer | string): Promise<boolean> {
  if (stream.destroyed) return Promise.resolve(false)
  if (bytes.length === 0 || stream.write(bytes)) return Promise.resolve(true)
  return new Promise((resolve) => {
    const settle = () => {
      stream.off('drain', settle)
      stream.off('close', settle)
      resolve(!stream.destroyed)
    }
    stream.on('drain', settle)
    stream.on('close', settle)
  })
}
