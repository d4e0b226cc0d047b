import type { Command } from 'commander'
import { STRICT_OPTION, TEST_OPTION } from '../options/check-options.js'
import { example } from '../options/example.js'
import { DEFAULT_CONFIG_DIRECTORY, type ServeArguments } from '../options/serve-options.js'

/** Registers `serve` for help and for mistakes: a correct call never comes this far (src/main.ts). */
export function register(program: Command): void {
  program
    .command('serve')
    .description('Run a relay, until SIGTERM. `treeline -c <dir>` does the same.')
    .option('-c, --config <dir>', 'directory of main.conf and logging.conf', DEFAULT_CONFIG_DIRECTORY)
    .option(...TEST_OPTION)
    .option(...STRICT_OPTION)
    .addHelpText('after', example('treeline serve --config /etc/treeline --test'))
    .action(
      async ({ config, test = false, strict = false }: Pick<ServeArguments, 'config'> & Partial<ServeArguments>) => {
        const { runServe } = await import('./start-relay.js')
        process.exitCode = await runServe({ config, test, strict })
      }
    )
}
