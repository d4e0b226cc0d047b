// A process of its own that puts files as fast as it can, telling which it began and which were acknowledged, until it
// is killed. Arguments: folder, the signing key as base64 of PEM, the number of the round.
import { createPrivateKey } from 'node:crypto'
import { keyHashOf, openSharedFiles, sign, TestHop, WHOLE_TREE } from '../parts/shared-file-relays.js'

const LANES = 6
const KEYS = 40

/** One line of its output. */
export interface WriterLine {
  readonly event: 'began' | 'acknowledged'
  readonly count: number
  readonly outcome?: string
  readonly path: string
  readonly hash: string
}

async function main(folder: string, key: string, round: string): Promise<void> {
  const signingKey = { kind: 'rsa' as const, key: createPrivateKey(Buffer.from(key, 'base64').toString()) }
  const nodes = WHOLE_TREE.map(node => ({ ...node, keyHash: keyHashOf(signingKey) }))
  const relay = await openSharedFiles({ folder, nodes, hops: [new TestHop('relay')], more: { now: Date.now } })
  relay.files.start()
  let count = Number(round) * 1_000_000
  const tell = (line: WriterLine) => process.stdout.write(`${JSON.stringify(line)}\n`)

  async function putForEver(): Promise<never> {
    for (;;) {
      count += 1
      const mine = count
      const target = mine % 3 === 0 ? 'n2' : 'n1' // n2 is below a relay that is away
      const path = `${target}/n1/f${mine % KEYS}`
      const file = sign(path, Buffer.alloc(mine % 7 === 0 ? 150_000 : 50, `${mine};`), { key: signingKey })
      tell({ event: 'began', count: mine, path, hash: file.hash })
      const outcome = await relay.put(file)
      tell({ event: 'acknowledged', count: mine, outcome, path, hash: file.hash })
    }
  }
  await Promise.all(Array.from({ length: LANES }, putForEver))
}

const [folder, key, round] = process.argv.slice(2)
if (folder !== undefined && key !== undefined && round !== undefined) {
  main(folder, key, round).catch(error => {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
    process.exitCode = 1
  })
}
