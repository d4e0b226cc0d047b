import { type Command, CommanderError, Help, type Option } from 'commander'
import { VERSION } from '../process/version.js'
import { ClientError, InputError, RefusedError } from '../relay-client/client-error.js'
import { RelayError } from '../values/failures/relay-error.js'
import { errorCode, errorMessage } from '../values/failures/system-error.js'
import { printableLines } from '../values/text/printable.js'
import { CommandError, EXIT } from './command-error.js'
import { CommandWithExample } from './command-with-example.js'
import { COMMANDS } from './commands.js'
import { SERVER_OPTIONS_HEADING } from './options/connection-options.js'
import { withoutCommand } from './options/serve-options.js'

/** The exit code that a shell reports for a program that SIGPIPE ended. */
const EXIT_SIGPIPE = 141

/**
 * Runs `treeline <args…>` to its end, and leaves the exit code in `process.exitCode`.
 * @param args without the interpreter and the script
 */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  endQuietlyWithoutReader()
  try {
    const program = await createProgram(args)
    await program.parseAsync(asSubcommand(args), { from: 'user' })
  } catch (error) {
    process.exitCode = report(error)
  }
}

/** Loads the command that is asked for, and knows the others by name alone, for the help. */
async function createProgram(args: readonly string[]): Promise<Command> {
  const [wanted] = asSubcommand(args)
  const program = new CommandWithExample('treeline')
    .description('A relay for servers that form a tree: remote runs and shared files')
    .version(VERSION, '-V, --version', 'print the version')
    .helpCommand(false)
    .exitOverride()
    .configureHelp({ groupItems: ownOptionsFirst })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'treeline: ')) })
    .showHelpAfterError('(--help shows the usage)')
    .addHelpText(
      'after',
      '\n`treeline <command> --help` shows the options and an example.\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration.'
    )
  for (const { name, summary, load } of COMMANDS) {
    if (name === wanted) (await load()).register(program)
    else program.command(name).description(summary)
  }
  return program
}

/** Puts a command's own options before the connection options, which all commands share. */
function ownOptionsFirst<T extends Command | Option>(
  unsorted: T[],
  visible: T[],
  groupOf: (item: T) => string
): Map<string, T[]> {
  const groups = new Help().groupItems(unsorted, visible, groupOf)
  const last = groups.get(SERVER_OPTIONS_HEADING)
  if (last === undefined) return groups
  groups.delete(SERVER_OPTIONS_HEADING)
  return groups.set(SERVER_OPTIONS_HEADING, last)
}

/** `treeline -c dir` and `treeline -t` mean `serve`; `help x` means `x --help`. */
function asSubcommand(args: readonly string[]): string[] {
  const serveArgs = withoutCommand(args)
  if (serveArgs !== undefined) return ['serve', ...serveArgs]
  const [first = '--help', ...rest] = args
  return first === 'help' ? [...rest, '--help'] : [first, ...rest]
}

/** The status of a request that no relay can grant. */
const BAD_REQUEST = 400

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  const isExpected = error instanceof ClientError || error instanceof RelayError || errorCode(error) !== undefined
  console.error(`treeline: ${printableLines(isExpected ? errorMessage(error) : stackOf(error))}`)
  return exitCodeOf(error)
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode
  const isUsers =
    error instanceof InputError ||
    (error instanceof RefusedError && error.status === BAD_REQUEST) ||
    (error instanceof RelayError && error.code === 'INVALID_INPUT')
  return isUsers ? EXIT.usage : EXIT.failure
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** `treeline … | head` is no failure to complain about, nor is a terminal that was closed. */
function endQuietlyWithoutReader(): void {
  process.stdout.on('error', error => {
    if (errorCode(error) === 'EPIPE' || errorCode(error) === 'EIO') process.exit(EXIT_SIGPIPE)
    process.stderr.write(`treeline: cannot write to standard output: ${errorMessage(error)}\n`)
    process.exit(EXIT.failure)
  })
}
