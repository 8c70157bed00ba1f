import type { SFTPWrapper } from 'ssh2'
import { ForgeError } from '#core/errors.ts'
import type { Session } from './session.ts'

type Done<T> = (error: unknown, value: T) => void

/** A guest can make any of its paths block (a FIFO, a dead mount), and its SFTP server does one thing at a time. */
const answerDeadline = 30_000

/** Status codes of SFTP 3 (draft-ietf-secsh-filexfer-02, 7), as OpenSSH uses them. */
const status = { noSuchFile: 2, denied: 3, failure: 4, badMessage: 5 }

/** The failure without a name that SFTP 3 gives for ENOSPC, EISDIR, ENOTEMPTY and most others. */
export const isFailure = (thrown: unknown): boolean =>
  thrown instanceof Error && 'code' in thrown && thrown.code === status.failure

/** An SFTP status as one of the errors of `WireFiles`. */
export function fileError(thrown: unknown, path: string): ForgeError {
  if (thrown instanceof ForgeError) return thrown
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : null
  const shown = JSON.stringify(path)
  const options = { cause: thrown, data: { path } }
  if (code === status.noSuchFile)
    return new ForgeError('not_found', `${shown} does not exist in the sandbox`, options)
  if (code === status.denied)
    return new ForgeError('denied', `the sandbox does not allow that on ${shown}`, options)
  if (code === status.badMessage)
    return new ForgeError('invalid_input', `the sandbox does not take ${shown} as a path`, options)
  return new ForgeError('conflict', `the sandbox could not do that with ${shown}`, options)
}

/** One SFTP channel, opened when first needed and again after it ended. */
export class Sftp {
  readonly #session: Session
  #channel: Promise<SFTPWrapper> | null = null

  constructor(session: Session) {
    this.#session = session
  }

  #open(): Promise<SFTPWrapper> {
    if (this.#channel !== null) return this.#channel
    const forget = () => {
      if (this.#channel === opening) this.#channel = null
    }
    const opening = this.#session.call<SFTPWrapper, SFTPWrapper>(
      (done) => this.#session.client.sftp((error, sftp) => done(error, sftp)),
      (sftp) => {
        sftp.on('error', forget).on('end', forget).on('close', forget)
        return sftp
      },
    )
    this.#channel = opening
    opening.catch(forget)
    return opening
  }

  /** One request. Rejects with what ssh2 gives, `sandbox_lost`, or `timed_out` after which the channel is a new one. */
  async ask<T>(start: (sftp: SFTPWrapper, done: Done<T>) => void): Promise<T> {
    const opening = this.#open()
    const sftp = await opening
    return new Promise<T>((resolve, reject) => {
      const unwatch = this.#session.watch(reject)
      const timer = setTimeout(() => {
        unwatch()
        if (this.#channel === opening) this.#channel = null
        sftp.end()
        reject(
          new ForgeError('timed_out', `the sandbox's file server did not answer in ${answerDeadline} ms`),
        )
      }, answerDeadline)
      start(sftp, (error, value) => {
        clearTimeout(timer)
        unwatch()
        if (error) reject(error)
        else resolve(value)
      })
    })
  }
}
