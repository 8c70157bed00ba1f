import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import type { Api, ScriptedRequest } from './script.ts'

const Part = z.looseObject({ type: z.string() })
const Content = z.union([z.string(), z.array(Part)]).nullish()
const Item = z.looseObject({ role: z.string().optional(), type: z.string().optional(), content: Content })
const Body = z.looseObject({
  model: z.string().default('unknown'),
  stream: z.boolean().nullish(),
  system: Content,
  instructions: z.string().nullish(),
  messages: z.array(Item).nullish(),
  input: z.union([z.string(), z.array(Item)]).nullish(),
  tools: z
    .array(
      z.looseObject({
        name: z.string().optional(),
        function: z.looseObject({ name: z.string() }).optional(),
      }),
    )
    .nullish(),
})
type Item = z.infer<typeof Item>

const textOf = (content: z.infer<typeof Content>): string =>
  typeof content === 'string'
    ? content
    : (content ?? []).map((part) => (typeof part.text === 'string' ? part.text : '')).join('')

type Call = { id: string; name: string; input: string; result: string | null }

/** Every call and result in the conversation, whichever API's form they have. */
function callsOf(items: Item[]): Call[] {
  const calls: Call[] = []
  const call = (id: unknown, name: unknown, input: unknown) =>
    calls.push({
      id: String(id),
      name: String(name),
      input: typeof input === 'string' ? input : JSON.stringify(input ?? {}),
      result: null,
    })
  const result = (id: unknown, content: unknown) => {
    const open = calls.findLast((one) => one.id === String(id))
    const parsed = Content.safeParse(content)
    if (open) open.result = parsed.success ? textOf(parsed.data) : ''
  }
  for (const item of items) {
    if (item.type === 'function_call') call(item.call_id, item.name, item.arguments)
    if (item.type === 'function_call_output') result(item.call_id, item.output)
    if (item.role === 'tool') result(item.tool_call_id, item.content)
    const parts = Array.isArray(item.content) ? item.content : []
    for (const part of parts) {
      if (part.type === 'tool_use') call(part.id, part.name, part.input)
      if (part.type === 'tool_result') result(part.tool_use_id, part.content)
    }
    for (const made of Array.isArray(item.tool_calls) ? item.tool_calls : [])
      call(made?.id, made?.function?.name, made?.function?.arguments)
  }
  return calls
}

/** Responses has no assistant messages as such: a turn is what stands between two items of the user's side. */
function turnsOf(api: Api, items: Item[]): number {
  if (api !== 'responses') return items.filter((item) => item.role === 'assistant').length
  const mine = items.map(
    (item) => item.role === 'assistant' || item.type === 'reasoning' || item.type === 'function_call',
  )
  return mine.filter((own, index) => own && mine[index - 1] !== true).length
}

/** Throws a ZodError when the body has not the API's form. */
export function readScriptedRequest(
  api: Api,
  raw: unknown,
  from: { path: string; headers: IncomingHttpHeaders },
): ScriptedRequest {
  const body = Body.parse(raw)
  const listed = body.messages ?? body.input ?? []
  const items: Item[] = typeof listed === 'string' ? [{ role: 'user', content: listed }] : listed
  const developer = items.filter((item) => item.role === 'system' || item.role === 'developer')
  return {
    api,
    model: body.model,
    stream: body.stream === true,
    system: [textOf(body.system), body.instructions ?? '', ...developer.map((item) => textOf(item.content))]
      .filter((text) => text !== '')
      .join('\n'),
    prompt: textOf(items.find((item) => item.role === 'user')?.content),
    turns: turnsOf(api, items),
    tools: (body.tools ?? []).flatMap((tool) => tool.name ?? tool.function?.name ?? []),
    calls: callsOf(items),
    path: from.path,
    headers: from.headers,
    body,
  }
}
