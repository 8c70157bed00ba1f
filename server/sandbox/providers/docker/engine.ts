import type Docker from 'dockerode'
import { ForgeError } from '#core/errors.ts'
import { type Endpoint, readCertificates } from './endpoint.ts'

/** Milliseconds that the engine has for one ordinary request: it may be busy, but it may also hang. */
const answerLimit = 30_000

/** A client that is configured by its arguments alone, whatever DOCKER_HOST and the like say. */
export async function connectEngine(endpoint: Endpoint): Promise<Docker> {
  const { default: Client } = await import('dockerode')
  if (endpoint.kind === 'unix')
    return new Client({ socketPath: endpoint.path, host: undefined, protocol: 'http' })
  const { host, port, certificates } = endpoint
  if (certificates === null) return new Client({ host, port, protocol: 'http' })
  return new Client({ host, port, protocol: 'https', ...(await readCertificates(certificates)) })
}

interface EngineFailure {
  readonly statusCode?: number
  readonly code?: string
  readonly json?: { message?: unknown } | null
  readonly message: string
}

const isFailure = (error: unknown): error is EngineFailure => error instanceof Error

/** The HTTP status with which the engine refused; null when it was not the engine that failed. */
export const statusOf = (error: unknown): number | null =>
  isFailure(error) && typeof error.statusCode === 'number' ? error.statusCode : null

function said(error: EngineFailure): string {
  const message = error.json?.message
  return (typeof message === 'string' ? message : error.message).trim().slice(0, 500)
}

/** Commands, by what the system says of a connection. */
const waysOut: Record<string, string[]> = {
  ENOENT: ['sudo apt-get update && sudo apt-get install -y docker.io', 'sudo systemctl start docker'],
  ECONNREFUSED: ['sudo systemctl start docker'],
  EACCES: ['sudo usermod -aG docker "$USER"', 'newgrp docker'],
}

/** What a failed request means: `provider_unavailable`, or `disk_full` where the engine says so. */
export function engineError(error: unknown): unknown {
  if (error instanceof ForgeError || !isFailure(error)) return error
  const status = statusOf(error)
  const message = said(error)
  if (/no space left on device|disk quota exceeded/i.test(message))
    return new ForgeError('disk_full', `the Docker Engine has no space: ${message}`, { cause: error })
  if (status !== null)
    return new ForgeError('provider_unavailable', `the Docker Engine refused (${status}): ${message}`, {
      cause: error,
    })
  const code = error.code ?? ''
  // An error without a code of the system or of TLS is no failure of the connection but a bug.
  if (code === '' && !/socket hang up/.test(error.message)) return error
  const fix = waysOut[code]
  return new ForgeError('provider_unavailable', `the Docker Engine cannot be reached: ${message}`, {
    cause: error,
    ...(fix === undefined ? {} : { hint: `run: ${fix.join(' ; ')}`, data: { fix } }),
  })
}

/** Waits for a request to the engine. Throws `provider_unavailable`, also when there is no answer in time. */
export async function ask<T>(request: Promise<T>, limit = answerLimit): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () =>
      reject(
        new ForgeError('provider_unavailable', `the Docker Engine has not answered for ${limit / 1000} s`),
      ),
    limit,
  )
  try {
    return await Promise.race([request, promise])
  } catch (error) {
    throw engineError(error)
  } finally {
    clearTimeout(timer)
  }
}

/** Null instead of an answer where the engine says with one of `statuses` that there is nothing to answer. */
export async function askOr<T>(request: Promise<T>, statuses: readonly number[]): Promise<T | null> {
  const answer = request.catch((error: unknown) => {
    if (statuses.includes(statusOf(error) ?? 0)) return null
    throw error
  })
  return ask(answer)
}
