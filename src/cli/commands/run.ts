import type { Command } from 'commander'
import { BrokenAnswerError } from '../../relay-client/answer-body.js'
import { ClientError } from '../../relay-client/client-error.js'
import { listNodesBelow } from '../../relay-client/node-pages.js'
import { mayHaveBeenTaken, retryOrder } from '../../relay-client/order-retry.js'
import type { RelayClient } from '../../relay-client/relay-client.js'
import { type RunRequest, streamRun } from '../../relay-client/run-stream.js'
import { checkNodeId } from '../../values/ids.js'
import { parseConditions } from '../../values/runs/conditions.js'
import type { RunEvent } from '../../values/runs/run-event.js'
import { makeRunId } from '../../values/runs/run-id.js'
import { LONGEST_WAIT_S } from '../../values/runs/run-wait-limit.js'
import { CommandError, EXIT, UsageError } from '../command-error.js'
import { addServerOptions, type ServerOptions, withClient } from '../options/connection-options.js'
import { readCount } from '../options/count-option.js'
import { example } from '../options/example.js'
import { readDuration } from '../options/time-option.js'
import { printDiagnostic } from '../output/diagnostic.js'
import { type BatchSize, parseBatchSize, splitIntoBatches } from '../output/run-batches.js'
import { RunDisplay } from '../output/run-display.js'
import { RunTally } from '../output/run-tally.js'

/** A number above that of any tree's nodes. */
const MAX_NODES = 999_999_999

/** The exit code that a shell reports for a program that was interrupted. */
const EXIT_SIGINT = 130

interface RunOptions extends ServerOptions {
  readonly all?: boolean
  readonly conditions?: string
  readonly async?: boolean
  readonly wait?: string
  readonly json?: boolean
  readonly output: boolean
  readonly batch?: string
  readonly maxFailures?: string
  readonly timeout?: string
}

/** A run as the command line asks for it, checked. */
interface RunPlan extends RunRequest {
  readonly batch: BatchSize | undefined
  readonly maxFailures: number
  readonly timeoutMs: number | undefined
  readonly isJson: boolean
}

/** `treeline run (--all | <node>…)`. */
export function register(program: Command): void {
  addServerOptions(program.command('run').description('Run agents, and show their output'))
    .argument('[nodes...]', 'ids of nodes below the relay')
    .option('--all', 'all nodes below the relay')
    .option('--conditions <list>', 'conditions for the agents, separated by commas')
    .option('--async', 'start the run, print its id, and exit')
    .option(
      '--wait <duration>',
      'like --async; the run waits this long, such as 1h, for relays and nodes that are away'
    )
    .option('--keep-output', "show and keep the agents' output (default)")
    .option('--no-output', "neither show nor keep the agents' output")
    .option('--batch <size>', 'run one batch of nodes after another: a number, or a percentage such as 10%')
    .option('--max-failures <count>', 'stop when more nodes than this have failed')
    .option('--timeout <duration>', 'cancel the rest after this time, such as 10min')
    .option('--json', 'print each event as a line of JSON, and a summary at the end')
    .addHelpText(
      'after',
      `\nCtrl-C cancels the run. The exit code is 0 if every node was done with exit code 0.\n${example('treeline run --all --batch 10% --max-failures 3')}`
    )
    .action(async (nodes: string[], options: RunOptions) => {
      const plan = readPlan(nodes, options)
      await withClient(options, client => (plan.asynchronous ? startOnly(client, plan) : watch(client, plan)))
    })
}

/** @throws {UsageError | RelayError} for anything that cannot be asked for */
function readPlan(nodes: readonly string[], options: RunOptions): RunPlan {
  const isAll = options.all === true
  if (isAll && nodes.length > 0)
    throw new UsageError('--all is every node below the relay: leave out the names, or --all')
  if (!isAll && nodes.length === 0) throw new UsageError('name nodes, or use --all for every node below the relay')
  for (const node of nodes) checkNodeId(node)
  const isRolling = options.batch !== undefined || options.maxFailures !== undefined || options.timeout !== undefined
  if ((options.async === true || options.wait !== undefined) && isRolling) {
    throw new UsageError(
      '--async and --wait leave the run to itself: --batch, --max-failures and --timeout need someone who watches'
    )
  }
  return {
    nodes: isAll ? 'all' : [...new Set(nodes)],
    conditions: parseConditions(options.conditions ?? ''),
    keepOutput: options.output,
    asynchronous: options.async === true || options.wait !== undefined,
    waitSeconds: options.wait === undefined ? 0 : readWait(options.wait),
    batch: options.batch === undefined ? undefined : parseBatchSize(options.batch),
    maxFailures: options.maxFailures === undefined ? Number.POSITIVE_INFINITY : readMaxFailures(options.maxFailures),
    timeoutMs: options.timeout === undefined ? undefined : readDuration('--timeout', options.timeout),
    isJson: options.json === true
  }
}

function readWait(text: string): number {
  return Math.ceil(readDuration('--wait', text, 1_000, LONGEST_WAIT_S * 1_000) / 1_000)
}

function readMaxFailures(text: string): number {
  return readCount('--max-failures', text, { min: 0, max: MAX_NODES })
}

/** Leaves runs to the relay, and prints their ids. */
async function startOnly(client: RelayClient, plan: RunPlan): Promise<void> {
  for (const nodes of plan.nodes === 'all' ? (['all'] as const) : splitIntoBatches(plan.nodes, undefined)) {
    const orderId = makeRunId() // so that an order whose answer was lost is not carried out twice
    const order = (waitSeconds: number) => startOne(client, { ...plan, nodes, waitSeconds, orderId })
    const run =
      plan.waitSeconds === 0
        ? await order(0).catch(adviseLostAnswer)
        : await retryOrder(order, plan.waitSeconds, printDiagnostic)
    console.log(plan.isJson ? JSON.stringify({ run }) : run)
  }
}

function adviseLostAnswer(error: unknown): never {
  if (!(error instanceof Error) || !mayHaveBeenTaken(error)) throw error
  const advice = 'the relay may have taken the order: see treeline runs list before you give it anew'
  throw new ClientError(`${error.message}; ${advice}`, { cause: error })
}

function nothingRun(): CommandError {
  return new CommandError('no node is below this relay: nothing was run')
}

/** Waits for the first event alone: the relay goes on without us. @returns the run's id */
async function startOne(client: RelayClient, request: RunRequest): Promise<string | undefined> {
  const events = streamRun(client, request, new AbortController().signal)
  const first = await events.next()
  await events.return()
  if (first.done === true) throw new CommandError('the relay said nothing of the run')
  if (request.nodes === 'all' && first.value.node_count === 0) throw nothingRun()
  return first.value.run
}

async function watch(client: RelayClient, plan: RunPlan): Promise<void> {
  const stop = new AbortController()
  const interrupt = () => stop.abort(new CommandError('interrupted: the run is cancelled', EXIT_SIGINT))
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  const late = () => stop.abort(new CommandError(`--timeout: not done in time, the rest is cancelled`))
  const timer = plan.timeoutMs === undefined ? undefined : setTimeout(late, Math.min(plan.timeoutMs, 2 ** 31 - 1))
  const tally = new RunTally()
  const display = new RunDisplay(tally, plan.isJson)
  try {
    const notStarted = await watchBatches(client, plan, tally, display, stop)
    const unheard = stop.signal.aborted ? undefined : tally.unheard()
    if (unheard !== undefined) display.fail(unheard)
    display.finish(notStarted)
    if (stop.signal.aborted) throw stop.signal.reason
    if (tally.isEmpty) throw nothingRun()
    process.exitCode = tally.isSuccess ? EXIT.ok : EXIT.failure
  } finally {
    clearTimeout(timer)
    process.removeListener('SIGINT', interrupt).removeListener('SIGTERM', interrupt)
  }
}

/** @returns how many nodes were left out because the command had to stop */
async function watchBatches(
  client: RelayClient,
  plan: RunPlan,
  tally: RunTally,
  display: RunDisplay,
  stop: AbortController
): Promise<number> {
  const isWhole = plan.nodes === 'all' && plan.batch === undefined
  const named = plan.nodes === 'all' ? (isWhole ? [] : await listNodesBelow(client)) : plan.nodes
  const batches: RunRequest['nodes'][] = isWhole ? ['all'] : splitIntoBatches(named, plan.batch)
  let left = named.length
  for (const nodes of batches) {
    if (stop.signal.aborted) break
    if (nodes !== 'all') {
      tally.expect(nodes)
      left -= nodes.length
    }
    await watchBatch(streamRun(client, { ...plan, nodes }, stop.signal), plan, tally, display, stop)
    tally.endOpen(stop.signal.aborted ? 'cancelled' : 'unknown')
    // a batch whose answer broke off has failed only now, and the next one must not begin
    stopAtTooManyFailures(plan, tally, stop)
  }
  return left
}

function stopAtTooManyFailures(plan: RunPlan, tally: RunTally, stop: AbortController): void {
  if (tally.failureCount <= plan.maxFailures || stop.signal.aborted) return
  stop.abort(new CommandError(`more than ${plan.maxFailures} failed (--max-failures): the rest is not run`))
}

async function watchBatch(
  events: AsyncIterable<RunEvent>,
  plan: RunPlan,
  tally: RunTally,
  display: RunDisplay,
  stop: AbortController
): Promise<void> {
  let hasEnded = false
  try {
    for await (const event of events) {
      hasEnded ||= event.event === 'end'
      await display.show(event)
      stopAtTooManyFailures(plan, tally, stop)
    }
  } catch (error) {
    if (stop.signal.aborted) return
    if (error instanceof ClientError && !(error instanceof BrokenAnswerError)) throw error
    display.fail('the connection broke before the run ended; the relay cancels it')
    return
  }
  if (!hasEnded && !stop.signal.aborted) display.fail('the relay ended its answer before the run ended')
}
