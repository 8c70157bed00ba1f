import { editTool } from './edit/tool.ts'
import { listTool } from './list/tool.ts'
import { readTool } from './read/tool.ts'
import { searchTool } from './search/tool.ts'
import { shellTool } from './shell/tool.ts'
import type { Tool } from './tool.ts'
import { writeTool } from './write/tool.ts'

/** The agent's own tools, in the order in which the model is told of them. */
export const tools: readonly Tool[] = [shellTool, readTool, editTool, writeTool, searchTool, listTool]

const byName = new Map(tools.map((tool) => [tool.definition.name, tool]))

export const toolNamed = (name: string): Tool | undefined => byName.get(name)
