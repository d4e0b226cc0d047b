import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TreeRelay } from '../../../demo/relay-tree.js'
import { eventually } from '../eventually.js'
import { ask, postForm } from '../network/http.js'
import type { RunningTree } from '../relays/relay-tree.js'
import { type SignedFile, signContent } from './signed-files.js'

/** An agent that notes each run that it makes: a line of `calls` beside it. */
export const NOTING_AGENT = `#!/bin/sh
for last do :; done
echo "agent of $last"
echo "$*" >> "$(dirname "$0")/calls"
`

interface Name {
  /** The place at which it has to be in the end, and its node. */
  readonly keeper: string
  readonly target: string
  /** In the order in which they were put. */
  readonly sent: SignedFile[]
  /** Index of the newest that was accepted. */
  accepted: number
}

export interface WorkOptions {
  readonly tree: RunningTree
  /** Puts go from here, in the name of `source`, to `target`, which `keeper` manages. */
  readonly ways: readonly {
    readonly at: string
    readonly source: string
    readonly target: string
    readonly keeper: string
  }[]
  /** Runs of this node, asked for at the relay; none when left out. */
  readonly runs?: readonly { readonly at: string; readonly node: string }[]
  readonly random: () => number
  readonly label: string
}

/** Shares files and makes runs, whatever happens to the relays meanwhile, and then checks that nothing is lost or twice. */
export class StreamOfWork {
  readonly #names = new Map<string, Name>()
  readonly #runs: { readonly at: string; readonly name: string; readonly node: string; id: string | undefined }[] = []
  readonly counts: Record<string, number> = {}
  #isOver = false
  readonly #working: Promise<unknown>

  constructor(private readonly options: WorkOptions) {
    const { ways, runs = [] } = options
    this.#working = Promise.all([
      ...ways.map((way, index) => this.#put(way, index)),
      ...runs.map((run, index) => this.#run(run, index))
    ])
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#working
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  async #put({ at, source, target, keeper }: WorkOptions['ways'][number], stream: number): Promise<void> {
    const { tree, random, label } = this.options
    for (let index = 0; !this.#isOver; index += 1) {
      // Each name again and again, so that an older copy could come after a newer one.
      const fileId = `${label}-${stream}-${index % 40}`
      const size = random() < 0.1 ? 300_000 : Math.floor(random() * 20_000)
      const file = signContent(target, tree.member(source), fileId, randomBytes(size))
      const name = this.#names.get(file.path) ?? { keeper, target, sent: [], accepted: -1 }
      this.#names.set(file.path, name)
      const place = name.sent.push(file) - 1
      const status = await statusOf(ask(tree.relay(at), `${file.path}?ttl=1h`, { method: 'PUT', body: file.body }))
      this.#count(`PUT ${status}`)
      if (status === 200 || status === 202) name.accepted = place
      await sleep(10 + random() * 20)
    }
  }

  async #run({ at, node }: NonNullable<WorkOptions['runs']>[number], stream: number): Promise<void> {
    const { tree, random, label } = this.options
    for (let index = 0; !this.#isOver; index += 1) {
      const run = { at, node, name: `${label}_${stream}_${index}_`, id: undefined as string | undefined }
      this.#runs.push(run)
      const form = { keep_output: 'true', classes: run.name }
      const answer = await postForm(tree.relay(at), `/rudder/relay-api/remote-run/nodes/${node}`, form).catch(
        () => undefined
      )
      this.#count(`run ${answer?.status ?? 'broken'}`)
      run.id = answer?.headers['treeline-run-id']?.toString()
      await sleep(100 + random() * 100)
    }
  }

  /** All relays have to be up, and connected. */
  async check(): Promise<void> {
    await this.#checkRuns()
    for (const relay of this.options.tree.relays.values()) {
      await eventually(`the end of all runs of ${relay.id}`, async () => {
        const { runs } = JSON.parse((await ask(relay, '/runs?limit=1000')).text)
        return runs.every((run: { ended_at?: string }) => run.ended_at !== undefined)
      })
    }
    for (const [path, name] of this.#names) await this.#checkName(path, name)
    for (const relay of this.options.tree.relays.values()) {
      await eventually(`an empty outbox of ${relay.id}`, async () => (await outboxOf(relay)).length === 0)
    }
  }

  async #checkName(path: string, { keeper, target, sent, accepted }: Name): Promise<void> {
    if (accepted < 0) return
    const { tree } = this.options
    const good = sent.slice(accepted)
    await eventually(`${path}, the newest that was accepted or one put after it`, async () => {
      const { body, status } = await ask(tree.relay(keeper), path, { as: tree.member(target) })
      return status === 200 && good.some(({ content }) => content.equals(body))
    })
  }

  async #checkRuns(): Promise<void> {
    const { tree } = this.options
    const calls = (await readFile(join(tree.folder, 'calls'), 'utf8').catch(() => '')).split('\n')
    for (const { at, name, node, id } of this.#runs) {
      const times = calls.filter(line => line.includes(name)).length
      assert.ok(times <= 1, `${name} ran ${times} times on ${node}`)
      if (id === undefined) continue
      const outcome = await eventually(`the end of ${id}`, async () => {
        const { node_records: records, state } = JSON.parse((await ask(tree.relay(at), `/runs/${id}`)).text)
        assert.ok(state !== undefined, `${at} has no record of ${id}`)
        const found = records?.[0]?.outcome
        return found !== undefined && found !== 'queued' && found !== 'running' && String(found)
      })
      this.#count(outcome)
      if (outcome === 'done') assert.equal(times, 1, `${name} is done, and ran ${times} times`)
    }
  }
}

async function outboxOf(relay: TreeRelay): Promise<unknown[]> {
  return JSON.parse((await ask(relay, '/outbox')).text).entries
}

function statusOf(answer: Promise<{ readonly status: number }>): Promise<number | 'broken'> {
  return answer.then(
    ({ status }) => status,
    () => 'broken' as const
  )
}
