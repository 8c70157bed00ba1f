const seconds = { d: 86_400, h: 3600, m: 60, s: 1 }

/** Seconds in a duration such as `45s` or `1h30m`. Throws a RangeError for anything else. */
export function parseDuration(text) {
  const parts = [...text.matchAll(/(\d+)([dhms])/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new RangeError(`not a duration: ${text}`)
  }
  let total = 0
  for (const [, amount, unit] of parts) {
    total = Number(amount) * seconds[unit]
  }
  return total
}

/** The shortest text for a number of seconds: `5400` gives `1h30m`. */
export function formatDuration(total) {
  let rest = total
  let text = ''
  for (const [unit, size] of Object.entries(seconds)) {
    const amount = Math.floor(rest / size)
    if (amount > 0) text += `${amount}${unit}`
    rest -= amount * size
  }
  return text === '' ? '0s' : text
}
