import type { ClientChannel } from 'ssh2'
import type { Session } from './session.ts'

export type Signal = 'TERM' | 'KILL' | 'INT' | 'HUP'

/** Marks the processes of one command, so that those that its main process left behind are found. */
export const markName = 'FORGE_EXEC'

/** The part of ssh2 1.17 that sends a signal; its public `signal` refuses once standard input has ended. */
interface Internals {
  readonly outgoing: { readonly id: number; readonly state: string }
  readonly _client: { readonly _protocol: { signal(channel: number, name: string): void } }
}

/** sshd gives it to the process group of the main process, without a fork, while that process lives. */
export function signalGroup(channel: ClientChannel, signal: Signal): void {
  const { outgoing, _client } = channel as unknown as Internals
  if (outgoing.state === 'open' || outgoing.state === 'eof') _client._protocol.signal(outgoing.id, signal)
}

/**
 * The first signal, at most two seconds, then KILL, to the group of every process that bears the mark. Only builtins:
 * it must work when no more process can be made. Exits 3 when there was none, 4 when one would not die.
 */
const script = (mark: string, first: Signal): string => `mark=${markName}=${mark}
nl=$'\\n'
find() {
  found= IFS=$nl
  for d in /proc/[0-9]*; do
    e=() s=()
    mapfile -d '' -t e 2>/dev/null <"$d/environ"
    [[ "$nl\${e[*]}$nl" == *"$nl$mark$nl"* ]] || continue
    mapfile -d '' -t s 2>/dev/null <"$d/stat"
    IFS=' '
    set -- \${s[0]##*) }
    IFS=$nl g=$3
    case " $found " in *" $g "*) ;; *) [[ $g -gt 1 ]] && found="$found $g" ;; esac
  done
}
send() { IFS=' '; for g in $found; do kill -s "$1" -- "-$g" 2>/dev/null; done; }
find
[[ $found ]] || exit 3
send ${first}
for ((i = 0; i < 40; i++)); do
  read -rt 0.05 _
  find
  [[ $found ]] || exit 0
done
for ((i = 0; i < 20; i++)); do
  send KILL
  read -rt 0.05 _
  find
  [[ $found ]] || exit 0
done
exit 4`

/** Ends all of a command's processes; resolves to false when none was found. Its standard input is held open as a clock. */
export function sweep(session: Session, mark: string, first: Signal): Promise<boolean> {
  return session
    .call<ClientChannel, Promise<boolean>>(
      (done) => session.client.exec(script(mark, first), { env: { SHLVL: '1' } }, done),
      (channel) =>
        new Promise((resolve) => {
          channel.on('error', () => undefined).resume()
          channel.stderr.on('error', () => undefined).resume()
          channel.on('exit', (code: number | null) => {
            channel.close()
            resolve(code !== 3)
          })
          channel.on('close', () => resolve(false))
        }),
    )
    .then((found) => found)
}
