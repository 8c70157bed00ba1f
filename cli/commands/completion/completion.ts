import { ForgeError } from '#core/errors.ts'
import { type Command, defineCommand } from '../../program/command.ts'
import { type CompletionEntry, completionScript, shells } from './scripts.ts'

interface Loadable {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<{ command: Command }>
}

/** `commands` are all there are, this one included. */
export const completionCommand = (commands: readonly Loadable[]) =>
  defineCommand({
    describe: `Prints a completion script.

  bash: forge completion bash > ~/.local/share/bash-completion/completions/forge
  zsh:  forge completion zsh > "\${fpath[1]}/_forge"
  fish: forge completion fish > ~/.config/fish/completions/forge.fish`,
    positionals: [{ name: 'SHELL', describe: shells.join(', '), required: true }],
    options: {},
    examples: [['source <(forge completion bash)', 'for this shell only']],
    async run(context, { positionals }) {
      const shell = shells.find((each) => each === positionals[0])
      if (!shell)
        throw new ForgeError('usage', `there is no completion for ${positionals[0]}`, {
          hint: `one of: ${shells.join(', ')}`,
        })
      const entries = await Promise.all(
        commands.map(async (entry): Promise<CompletionEntry> => {
          const { command } = await entry.load()
          return { name: entry.name, summary: entry.summary, options: command.options }
        }),
      )
      await context.print(completionScript(shell, entries))
      return 0
    },
  })
