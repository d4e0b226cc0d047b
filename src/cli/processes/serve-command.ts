import type { Command } from 'commander'
import { DEFAULT_CONFIG_DIRECTORY, type ServeOptions } from '../options/serve-options.js'

/** For help and mistakes: a call that is right never comes this far (src/main.ts). */
export function register(program: Command): void {
  program
    .command('serve')
    .description('Be a relay, until SIGTERM. `treeline -c <dir>` is the same.')
    .option('-c, --config <dir>', 'directory of main.conf and logging.conf', DEFAULT_CONFIG_DIRECTORY)
    .option('-t, --test', 'check the configuration, say what is wrong, and exit')
    .option('--strict', 'with --test: warnings are errors')
    .action(async ({ config, test = false, strict = false }: Pick<ServeOptions, 'config'> & Partial<ServeOptions>) => {
      const { runServe } = await import('./serve.js')
      process.exitCode = await runServe({ config, test, strict })
    })
}
