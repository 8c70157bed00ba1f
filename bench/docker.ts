import { cp } from 'node:fs/promises'
import path from 'node:path'
import { startOwnEngine } from '#server/sandbox/providers/docker/own-engine.ts'
import { command } from './measure.ts'

export interface Docker extends AsyncDisposable {
  readonly unavailable: null
  readonly description: string
  /** `docker run --rm IMAGE true`, to its end. */
  runTrue(): Promise<void>
}

type Found = Docker | (AsyncDisposable & { readonly unavailable: string })

const tag = 'forge-bench:true'

const missing = (reason: string): Found => ({
  unavailable: reason,
  [Symbol.asyncDispose]: async () => undefined,
})

/** As small as an image can be: `true` and the libraries it is linked with. */
async function makeImage(docker: (...args: string[]) => Promise<string>, scratch: string): Promise<void> {
  const root = path.join(scratch, 'image')
  const program = '/usr/bin/true'
  const linked = (await command('ldd', [program]).catch(() => '')).match(/\/\S+/g) ?? []
  for (const file of [program, ...linked])
    await cp(file, path.join(root, file), { recursive: true, dereference: true })
  const archive = path.join(scratch, 'image.tar')
  await command('tar', ['-C', root, '-cf', archive, '.'])
  await docker('import', archive, tag)
}

/** The Docker Engine that DOCKER_HOST names, or one of our own. */
export async function findDocker(scratch: string): Promise<Found> {
  if ((await command('docker', ['--version']).catch(() => null)) === null)
    return missing('docker is not installed')
  const given = process.env.DOCKER_HOST
  const own = given === undefined ? await startOwnEngine(path.join(scratch, 'docker')) : null
  if (own !== null && own.unavailable !== null)
    return missing(`DOCKER_HOST is not set, and ${own.unavailable}`)
  const socket = own === null ? (given ?? '') : `unix://${own.socket}`
  const docker = (...args: string[]) => command('docker', ['-H', socket, ...args])
  const stop = async () => {
    await docker('rmi', tag).catch(() => undefined)
    await own?.[Symbol.asyncDispose]()
  }
  try {
    await makeImage(docker, scratch)
    const info = await docker(
      'info',
      '--format',
      '{{.ServerVersion}} with {{.DefaultRuntime}} on {{.Driver}}',
    )
    const runTrue = async () => {
      await docker('run', '--rm', '--network', 'none', tag, '/usr/bin/true')
    }
    await runTrue()
    return { unavailable: null, description: `Docker ${info.trim()}`, runTrue, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    return missing(`Docker runs no container here: ${(error as Error).message.trim().split('\n')[0]}`)
  }
}
