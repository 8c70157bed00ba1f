import stringWidth from 'string-width'
import type { Event, EventOf } from '#core/event/event.ts'
import type { RunOutcome } from '#core/run/run.ts'
import { formatCost, formatCount, formatDiff, formatDuration, totalTokens } from './format.ts'
import { safe, safeLine } from './safe.ts'
import type { Style } from './style.ts'
import { shorten } from './table.ts'

interface ViewOptions {
  readonly style: Style
  readonly width: number
  /** A terminal: what a tool is doing shows while it does it, on a line that its result replaces. */
  readonly live: boolean
}

const eraseLine = `\r${String.fromCharCode(27)}[K`
const shownErrorLines = 4
const shownCheckLines = 12

/** Says a run's events to a person; give it every event in order and print what it returns. */
export class RunView {
  readonly #options: ViewOptions
  /** The turn whose text has been streamed, so that it is not said twice. */
  #streamedTurn = 0
  #midLine = false
  #liveLine = false

  constructor(options: ViewOptions) {
    this.#options = options
  }

  render(event: Event): string {
    const said = this.#say(event)
    if (said === '') return ''
    const before = this.#liveLine ? eraseLine : ''
    this.#liveLine = event.type === 'tool.started' || event.type === 'check.started'
    return before + said
  }

  #say(event: Event): string {
    const { style } = this.#options
    switch (event.type) {
      case 'run.created':
        return this.#created(event)
      case 'run.resumed':
        return this.#line(style.yellow(`the server came back and goes on: ${safeLine(event.data.reason)}`))
      case 'sandbox.ready':
        return this.#line(
          style.dim(
            `sandbox ready after ${formatDuration(event.data.ms)} (${safeLine(event.data.provider)})`,
          ),
        )
      case 'sandbox.lost':
        return this.#line(style.red(`the sandbox is lost: ${safeLine(event.data.reason)}`))
      case 'workspace.prepared':
        return this.#line(style.dim(`${event.data.files} files in place`))
      case 'message.delta':
        return this.#delta(event)
      case 'message.assistant':
        return this.#assistant(event)
      case 'model.retried':
        // What streamed so far is void and comes again.
        this.#streamedTurn = 0
        return this.#line(
          style.yellow(
            `the model is asked again in ${formatDuration(event.data.delayMs)} (${event.data.attempt}): ${safeLine(event.data.reason)}`,
          ),
        )
      case 'tool.started':
        return this.#live(`${event.data.name} ${briefInput(event.data.input)}`)
      case 'tool.finished':
        return this.#toolFinished(event)
      case 'egress.decided':
        return event.data.allowed ? '' : this.#egressDenied(event)
      case 'check.started':
        return this.#live(`check: ${event.data.command}`)
      case 'check.finished':
        return this.#checkFinished(event)
      case 'run.warning':
        return this.#line(
          style.yellow(`warning: ${safeLine(event.data.message)}`) +
            (event.data.hint ? `\n  ${safeLine(event.data.hint)}` : ''),
        )
      case 'run.finished':
        return this.#endLine() + finishedText(event, style)
      default:
        return ''
    }
  }

  #created({ run, data }: EventOf<'run.created'>): string {
    const { style } = this.#options
    const model = data.model.startsWith('demo/')
      ? `${data.model} (scripted demonstration, not a real model)`
      : data.model
    return `${style.bold(run)} ${style.dim(`${safeLine(model)} on ${safeLine(data.source)}`)}\n`
  }

  #delta({ data }: EventOf<'message.delta'>): string {
    if (data.kind === 'thinking') return ''
    const fresh = this.#streamedTurn !== data.turn
    const text = fresh ? safe(data.text).trimStart() : safe(data.text)
    if (text === '') return ''
    this.#streamedTurn = data.turn
    const before = fresh ? `${this.#endLine()}\n` : ''
    this.#midLine = !text.endsWith('\n')
    return before + text
  }

  #assistant({ data }: EventOf<'message.assistant'>): string {
    if (this.#streamedTurn === data.turn) return this.#endLine()
    const text = data.content
      .flatMap((block) => (block.type === 'text' ? [safe(block.text).trim()] : []))
      .join('\n')
    return text === '' ? '' : `${this.#endLine()}\n${text}\n`
  }

  #toolFinished({ data }: EventOf<'tool.finished'>): string {
    const { style, width } = this.#options
    const failed = data.isError || (data.exitCode ?? 0) !== 0
    const mark = failed ? style.red('✗') : style.green('✓')
    const exit = data.exitCode ? `exit ${data.exitCode}, ` : ''
    const tail = `(${exit}${formatDuration(data.ms)})`
    const title = shorten(
      safeLine(`${data.name} ${withoutPrefix(data.title, data.name)}`),
      Math.max(20, width - tail.length - 6),
      stringWidth,
    )
    const lines = failed ? lastLines(data.content, shownErrorLines) : []
    return this.#line(
      [`  ${mark} ${title} ${style.dim(tail)}`, ...lines.map((line) => this.#quoted(line))].join('\n'),
    )
  }

  #egressDenied({ data }: EventOf<'egress.decided'>): string {
    const { style } = this.#options
    const target = safeLine(`${data.host}:${data.port}`)
    const why = safeLine(data.reason ?? data.rule)
    return this.#line(
      `  ${style.yellow(`egress denied: ${target}`)} (${why}); allow it with --allow ${target}`,
    )
  }

  #checkFinished({ data }: EventOf<'check.finished'>): string {
    const { style } = this.#options
    const word = data.passed
      ? style.green('check passed')
      : style.red(`check failed${data.exitCode === null ? '' : ` with exit code ${data.exitCode}`}`)
    const lines = data.passed ? [] : lastLines(data.output, shownCheckLines)
    const head = `${word}: ${safeLine(data.command)} ${style.dim(`(${formatDuration(data.ms)})`)}`
    return this.#line([head, ...lines.map((line) => this.#quoted(line))].join('\n'))
  }

  #quoted(line: string): string {
    return this.#options.style.dim(`    ${shorten(line, Math.max(20, this.#options.width - 4), stringWidth)}`)
  }

  #live(text: string): string {
    if (!this.#options.live) return ''
    return (
      this.#endLine() +
      this.#options.style.dim(`  … ${shorten(safeLine(text), this.#options.width - 5, stringWidth)}`)
    )
  }

  #line(text: string): string {
    return `${this.#endLine()}${text}\n`
  }

  #endLine(): string {
    const end = this.#midLine ? '\n' : ''
    this.#midLine = false
    return end
  }
}

const withoutPrefix = (title: string, name: string): string =>
  title.startsWith(name) ? title.slice(name.length).replace(/^[:\s]+/, '') : title

const lastLines = (text: string, count: number): string[] =>
  safe(text)
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .slice(-count)

/** The first of a tool's arguments says most. */
const briefInput = (input: Record<string, unknown> | null): string => {
  const first = Object.values(input ?? {}).find((value) => typeof value === 'string')
  return typeof first === 'string' ? first.slice(0, 400) : ''
}

const outcomeWords: Record<RunOutcome, string> = {
  done: 'done',
  failed: 'not done',
  check_failed: 'not done: the check does not pass',
  turns_spent: 'not done: the turns are used up',
  model_unavailable: 'the model is not available',
  provider_unavailable: 'the sandbox provider is not available',
  internal: 'a bug in Forge',
  denied: 'denied',
  budget_spent: 'the budget is spent',
  sandbox_lost: 'the sandbox is lost',
  server_lost: 'the server is lost',
  timed_out: 'the time limit was reached',
  interrupted: 'interrupted',
  terminated: 'terminated',
  cancelled: 'cancelled',
}

/** The outcome, what it took, and what to do next. */
function finishedText({ run, data }: EventOf<'run.finished'>, style: Style): string {
  const paint = data.outcome === 'done' ? style.green : style.red
  const facts = [
    formatDuration(data.ms),
    `${data.turns} ${data.turns === 1 ? 'turn' : 'turns'}`,
    `${formatCount(totalTokens(data.tokens))} tokens`,
    data.cost === null ? 'cost unknown' : formatCost(data.cost),
  ]
  const lines = ['', `${style.bold(paint(outcomeWords[data.outcome]))} ${style.dim(`(${facts.join(', ')})`)}`]
  if (data.reason) lines.push(`  ${safeLine(data.reason)}`)
  if (data.error?.hint) lines.push(`  ${safeLine(data.error.hint)}`)
  if (data.diff && data.diff.files > 0)
    lines.push(
      formatDiff(data.diff),
      `  forge diff ${run}   look at the work`,
      `  forge apply ${run}  take it into your working tree`,
    )
  else if (data.outcome === 'done') lines.push('no files changed')
  else lines.push(`  forge runs events ${run}   what happened`)
  return `${lines.join('\n')}\n`
}
