import type { EgressDecision } from './policy.ts'

/** How many different decisions may be reported at once, and how many more each second. */
const burst = 200
const perSecond = 5
/** How long repeats of one decision are held back before their count is reported; doubles up to the maximum. */
const firstWindow = 1000
const maxWindow = 60_000

interface Held {
  readonly decision: EgressDecision
  repeats: number
  window: number
  timer: NodeJS.Timeout
}

export interface DecisionLog {
  /** False when the sandbox makes more different decisions than can be reported: then refuse the request. */
  record(decision: EgressDecision): boolean
  /** Reports what is held back. */
  close(): void
}

const keyOf = ({ host, port, via, allowed, rule, reason }: EgressDecision): string =>
  JSON.stringify([host, port, via, allowed, rule, reason])

const repeatsOf = ({ decision, repeats }: Held): EgressDecision =>
  repeats === 1 ? decision : { ...decision, count: repeats }

/**
 * Keeps a sandbox from flooding the ledger. A decision is reported at once; the same one again is held back
 * and reported with its count, after 1 s at first, then after twice as long each time up to a minute. Beyond 200
 * different decisions, refilled by 5 a second, `record` gives false and one `decision_rate` refusal stands for all.
 */
export function decisionLog(report: (decision: EgressDecision) => void, now: () => number): DecisionLog {
  const held = new Map<string, Held>()
  let tokens = burst
  let refilled = now()

  const flush = (key: string, each: Held) => {
    if (each.repeats === 0) {
      held.delete(key)
      return
    }
    report(repeatsOf(each))
    each.repeats = 0
    each.window = Math.min(each.window * 2, maxWindow)
    each.timer = setTimeout(flush, each.window, key, each).unref()
  }
  const repeated = (key: string): boolean => {
    const known = held.get(key)
    if (known) known.repeats++
    return known !== undefined
  }
  const first = (key: string, decision: EgressDecision) => {
    report(decision)
    const each: Held = {
      decision,
      repeats: 0,
      window: firstWindow,
      timer: setTimeout(() => flush(key, each), firstWindow).unref(),
    }
    held.set(key, each)
  }

  return {
    record(decision) {
      const key = keyOf(decision)
      if (repeated(key)) return true
      tokens = Math.min(burst, tokens + ((now() - refilled) / 1000) * perSecond)
      refilled = now()
      if (tokens >= 1) {
        tokens--
        first(key, decision)
        return true
      }
      const reason = 'more different targets than can be recorded; this one and others were refused'
      if (!repeated('decision_rate'))
        first('decision_rate', { ...decision, allowed: false, rule: 'decision_rate', reason })
      return false
    },
    close() {
      for (const each of held.values()) {
        clearTimeout(each.timer)
        if (each.repeats > 0) report(repeatsOf(each))
      }
      held.clear()
    },
  }
}
