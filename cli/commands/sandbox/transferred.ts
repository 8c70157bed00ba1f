export interface Transferred {
  readonly files: number
  readonly bytes: number
  /** What was not copied, and why. */
  readonly skipped: readonly string[]
}
