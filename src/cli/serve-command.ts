import type { Command } from 'commander'

/** Where an existing relay has its `main.conf`. */
const DEFAULT_DIRECTORY = '/opt/rudder/etc/relayd/'

export function register(program: Command): void {
  program
    .command('serve')
    .description('Be a relay, until SIGTERM. `treeline -c <dir>` is the same.')
    .option('-c, --config <dir>', 'directory of main.conf and logging.conf', DEFAULT_DIRECTORY)
    .option('-t, --test', 'check the configuration, say what is wrong, and exit', false)
    .action(async (options: { config: string; test: boolean }) => {
      const { runServe } = await import('./serve.js')
      process.exitCode = await runServe(options)
    })
}
