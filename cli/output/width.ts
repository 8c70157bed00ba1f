/** How many terminal cells a safe text takes. */
export type Measure = (text: string) => number

/** Right for texts of one-cell characters only. */
const plain: Measure = (text) => text.length

/**
 * What measures texts like `sample`. The real thing costs the start of the program some 20 ms (it loads ICU's
 * segmentation), which ASCII does without.
 */
export async function measureFor(sample: string): Promise<Measure> {
  if (/^[ -~\s]*$/.test(sample)) return plain
  return (await import('string-width')).default
}
