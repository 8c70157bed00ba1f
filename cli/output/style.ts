/** Wraps already safe text in colour, or gives it back as it is. */
export type Paint = (text: string) => string

export interface Style {
  readonly colour: boolean
  readonly bold: Paint
  readonly dim: Paint
  readonly red: Paint
  readonly green: Paint
  readonly yellow: Paint
  readonly cyan: Paint
}

const esc = String.fromCharCode(27)
const paint = (on: boolean, open: number, close: number): Paint =>
  on ? (text) => (text === '' ? '' : `${esc}[${open}m${text}${esc}[${close}m`) : (text) => text

export const makeStyle = (colour: boolean): Style => ({
  colour,
  bold: paint(colour, 1, 22),
  dim: paint(colour, 2, 22),
  red: paint(colour, 31, 39),
  green: paint(colour, 32, 39),
  yellow: paint(colour, 33, 39),
  cyan: paint(colour, 36, 39),
})

/** NO_COLOR (https://no-color.org) wins over FORCE_COLOR (https://force-color.org), both over what the stream is. */
export function wantsColour(env: Readonly<Record<string, string | undefined>>, isTty: boolean): boolean {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false'
  return isTty && env.TERM !== 'dumb'
}
