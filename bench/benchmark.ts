import type { Sample } from './measure.ts'

export interface Bound {
  readonly kind: 'at most' | 'at least'
  readonly ratio: number
}

/** One of our numbers beside a peer's or a floor's, measured in turns in the same run. */
export interface Comparison {
  readonly ours: string
  readonly peer: string
  /** `ms`: less is better; `/s`: more is better. */
  readonly unit: 'ms' | '/s'
  readonly oursSample: Sample
  readonly peerSample: Sample
  /** Absent where nothing was promised. */
  readonly bound?: Bound
}

/** Named, never silent. */
export interface Skip {
  readonly what: string
  readonly reason: string
}

export interface Findings {
  readonly comparisons: readonly Comparison[]
  readonly skipped?: readonly Skip[]
  /** Facts that a reader of the numbers needs. */
  readonly notes?: readonly string[]
}

export interface Place {
  /** Of the checkout, with `dist/` built. */
  readonly root: string
  /** A folder of this benchmark's own, which is removed afterwards. Every user may pass through it. */
  readonly scratch: string
}

export interface Benchmark {
  readonly name: string
  readonly about: string
  run(place: Place): Promise<Findings>
}

/** Of the medians. */
export const ratioOf = ({ oursSample, peerSample }: Comparison): number =>
  oursSample.median / peerSample.median

/** Null where there is no bound. */
export function isMet(comparison: Comparison): boolean | null {
  const { bound } = comparison
  if (bound === undefined) return null
  const ratio = ratioOf(comparison)
  return bound.kind === 'at most' ? ratio <= bound.ratio : ratio >= bound.ratio
}
