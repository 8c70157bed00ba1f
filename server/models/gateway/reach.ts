import type { Family } from './routes.ts'

/*
 * What a model API would open a connection for on the client's behalf: a program in the sandbox could reach
 * any host that way, past the egress policy. Tools that the API runs itself (web search, MCP, containers) are
 * taken out, because agents offer them unasked; everything else of that kind makes the request fail.
 */

type Body = Readonly<Record<string, unknown>>

const clientTools: Record<Family, RegExp> = {
  anthropic: /^(custom|(bash|text_editor|computer|memory|tool_search_tool_(regex|bm25))_\d{8})$/,
  openai: /^(function|custom|local_shell|apply_patch|namespace|tool_search)$/,
}

/** Fields that stand for a remote resource, at the top of a body. */
const remoteFields: Record<Family, readonly string[]> = {
  anthropic: ['mcp_servers', 'container'],
  openai: ['web_search_options', 'prompt'],
}

/** `{type: 'url', url}`, `image_url`, `file_url`: content that the API would fetch. */
const urlFields = ['url', 'image_url', 'file_url', 'server_url']

const isRecord = (value: unknown): value is Body =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const runsAtClient = (family: Family, tool: unknown): boolean => {
  const type = isRecord(tool) ? (tool.type ?? (family === 'anthropic' ? 'custom' : undefined)) : undefined
  return typeof type === 'string' && clientTools[family].test(type)
}

/** Namespaces hold tools of their own. */
const clientToolsOf = (family: Family, tools: readonly unknown[]): unknown[] =>
  tools
    .filter((tool) => runsAtClient(family, tool))
    .map((tool) =>
      isRecord(tool) && Array.isArray(tool.tools)
        ? { ...tool, tools: clientToolsOf(family, tool.tools) }
        : tool,
    )

/** The body with only those tools that the client runs itself; conversation items can bring tools, too. */
export function withClientTools(family: Family, body: Body): Body {
  const input = Array.isArray(body.input)
    ? body.input.map((item: unknown) =>
        isRecord(item) && Array.isArray(item.tools)
          ? { ...item, tools: clientToolsOf(family, item.tools) }
          : item,
      )
    : body.input
  const { tools: offered, tool_choice, ...rest } = input === undefined ? body : { ...body, input }
  if (!Array.isArray(offered)) return input === undefined ? body : { ...body, input }
  const tools = clientToolsOf(family, offered)
  if (tools.length === 0 && offered.length > 0) return rest
  return { ...rest, tools, ...(tool_choice === undefined ? {} : { tool_choice }) }
}

const isPresent = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null

const isRemoteUrl = (value: unknown): boolean => typeof value === 'string' && !value.startsWith('data:')

/** Looks at conversation content only: tool calls' inputs and schemas may hold any URL as data. */
function fetchesContent(root: unknown): boolean {
  const open: unknown[] = [root]
  while (open.length > 0) {
    const value = open.pop()
    if (Array.isArray(value)) {
      for (const one of value) open.push(one)
    } else if (isRecord(value)) {
      if (urlFields.some((name) => isRemoteUrl(value[name]))) return true
      for (const [name, inner] of Object.entries(value))
        if (name !== 'input' && name !== 'arguments') open.push(inner)
    }
  }
  return false
}

/** Why the request must not pass; null when it opens no connections. */
export function reachesOut(family: Family, body: Body): string | null {
  if (body.tools != null && !Array.isArray(body.tools)) return 'tools is no list'
  const field = remoteFields[family].find((name) => isPresent(body[name]))
  if (field !== undefined) return `${field} is not allowed`
  // What runs on without the connection could not be metered.
  if (body.background === true) return 'background is not allowed'
  if (fetchesContent(body.messages) || fetchesContent(itemsOf(body.input)))
    return 'content by URL is not allowed: send it inline'
  return null
}

/** The items of a Responses request; what a function call or its output holds is data. */
const itemsOf = (input: unknown): unknown[] =>
  Array.isArray(input) ? input.filter((item) => !(isRecord(item) && item.type === 'function_call')) : []
