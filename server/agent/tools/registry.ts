import { shellTool } from './shell/tool.ts'
import type { Tool } from './tool.ts'

/** The agent's own tools, in the order in which the model is told of them. */
export const tools: readonly Tool[] = [shellTool]

const byName = new Map(tools.map((tool) => [tool.definition.name, tool]))

export const toolNamed = (name: string): Tool | undefined => byName.get(name)
