import { ForgeError } from '#core/errors.ts'
import type { SandboxProvider } from './provider.ts'

/** The providers to try for a name, the strongest first. Throws `invalid_input` for one that there is not. */
export function candidates(providers: readonly SandboxProvider[], name: string): readonly SandboxProvider[] {
  if (name === 'auto') return providers
  const found = providers.filter((provider) => provider.name === name)
  if (found.length > 0) return found
  const known = ['auto', ...providers.map((provider) => provider.name)].join(', ')
  throw new ForgeError('invalid_input', `there is no sandbox provider ${name}`, {
    hint: `take one of: ${known}`,
  })
}

/** What is said when every candidate was tried and none could be used. */
export function noneWorked(failures: readonly ForgeError[]): ForgeError {
  const [first] = failures
  if (first && failures.length === 1) return first
  const reasons = failures.map((failure) => failure.message).join('; ')
  return new ForgeError('provider_unavailable', reasons, { hint: 'forge doctor says what is missing' })
}
