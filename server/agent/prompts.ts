import { Liquid } from 'liquidjs'

/** No file system and no escaping: templates are bundled strings, and values go into the text as they are. */
const engine = new Liquid({ strictVariables: true, strictFilters: true, relativeReference: false })

/** Facts are data: Liquid syntax inside them is not evaluated. Throws when the template names a fact that is not given. */
export function renderPrompt(template: string, facts: Record<string, unknown>): string {
  return String(engine.parseAndRenderSync(template, facts)).trim()
}
