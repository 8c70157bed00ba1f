import { StringDecoder } from 'node:string_decoder'

interface ServerSentEvent {
  readonly event: string
  readonly data: string
}

/**
 * The event stream format of the HTML standard, without `id` and `retry`. Lines end at LF or CRLF only: JSON may
 * hold U+2028 as it is, at which Node's readline would cut.
 */
export async function* serverSentEvents(body: AsyncIterable<Buffer>): AsyncGenerator<ServerSentEvent> {
  const decoder = new StringDecoder('utf8')
  let event = 'message'
  let data: string[] = []
  /** The unfinished line, in pieces, so that a long one is not copied for each chunk. */
  let partial: string[] = []
  for await (const chunk of body) {
    const pieces = decoder.write(chunk).split('\n')
    const rest = pieces.pop() ?? ''
    for (const piece of pieces) {
      const whole = [...partial, piece].join('')
      partial = []
      const line = whole.endsWith('\r') ? whole.slice(0, -1) : whole
      if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5))
      else if (line.startsWith('event:')) event = line.slice(6).trim()
      else if (line === '') {
        if (data.length > 0) yield { event, data: data.join('\n') }
        event = 'message'
        data = []
      }
    }
    if (rest !== '') partial.push(rest)
  }
}
