import path from 'node:path'
import type { Paths } from '#core/config/paths.ts'
import { ForgeError } from '#core/errors.ts'
import { Http } from '../client/http.ts'
import { ensureServer, health } from '../client/start.ts'
import type { Context } from '../context.ts'
import type { Host } from '../host.ts'
import { ReaderGone } from '../output/sink.ts'
import { makeStyle, wantsColour } from '../output/style.ts'
import { wordError } from '../output/words.ts'
import { dispatch } from './dispatch.ts'
import { parseArguments } from './parse.ts'
import { placesOf } from './places.ts'

/** 128 + SIGPIPE: what a shell reports for a program whose reader has gone. */
const readerGoneExit = 141

/** Runs one command line to its exit code. Undefined: what it loaded ends the process itself. */
export async function runProgram(host: Host, argv: readonly string[]): Promise<number | undefined> {
  try {
    return await runCommand(host, argv)
  } catch (thrown) {
    if (thrown instanceof ReaderGone) return readerGoneExit
    const error = ForgeError.from(thrown)
    await host.stderr
      .write(wordError(error.toShape(), makeStyle(wantsColour(host.env, host.tty.stderr))))
      .catch(() => {})
    if (error.code === 'internal' && host.env.FORGE_DEBUG && error.cause instanceof Error)
      await host.stderr.write(`${error.cause.stack}\n`).catch(() => {})
    return error.row.exit
  }
}

async function runCommand(host: Host, argv: readonly string[]): Promise<number | undefined> {
  const choice = dispatch(argv)
  if (choice.kind === 'help') {
    await host.stdout.write(choice.text)
    return 0
  }
  if (choice.kind === 'version') {
    await host.stdout.write(`${host.version}\n`)
    return 0
  }
  const { command } = await choice.entry.load()
  const parsed = await parseArguments(choice.entry.name, command, {
    argv: choice.argv,
    width: host.size().columns,
  })
  if (parsed.kind === 'help') {
    await host.stdout.write(parsed.text)
    return 0
  }
  return command.run(makeContext(host, placesOf(host)), parsed.args)
}

/** The background server runs in `/`, where a relative path means something else. */
const serverEnv = ({ env, cwd }: Host): Host['env'] =>
  env.FORGE_HOME ? { ...env, FORGE_HOME: path.resolve(cwd, env.FORGE_HOME) } : env

function makeContext(host: Host, places: Paths): Context {
  const note = (text: string) => {
    void host.stderr.write(`${text}\n`).catch(() => {})
  }
  return {
    host,
    places,
    style: makeStyle(wantsColour(host.env, host.tty.stdout)),
    errStyle: makeStyle(wantsColour(host.env, host.tty.stderr)),
    print: (text) => host.stdout.write(text),
    printJson: (value) => host.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`),
    note,
    server: async () => {
      const server = await ensureServer({
        socket: places.socket,
        stateDir: places.state,
        program: path.join(host.root, 'dist', 'server.mjs'),
        node: host.node,
        env: serverEnv(host),
        now: host.now,
      })
      if (server.started) note(`started the Forge server (pid ${server.pid})`)
      else if (server.version !== host.version)
        note(
          `the running server is Forge ${server.version}, this is ${host.version}: forge stop ends it, the next command starts the new one`,
        )
      return new Http(places.socket)
    },
    runningServer: async () => ((await health(places.socket)) ? new Http(places.socket) : null),
  }
}
