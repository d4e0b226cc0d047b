import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { treelineCommand } from '../../demo/relay-process.js'
import { eventually } from '../support/eventually.js'
import { startProcess, temporaryFolder } from '../support/machine/treeline-command.js'
import { ask, postForm } from '../support/network/http.js'
import { makeCertificate } from '../support/network/openssl-certificate.js'
import { startTree } from '../support/relays/relay-tree.js'

const LOSE_TERMINAL = join(import.meta.dirname, '../support/lose-terminal.py')

interface InTerminal {
  /** Resolves once its log has the text. */
  logged(text: string): Promise<unknown>
  loseTerminal(): Promise<void>
  /** SIGTERM. @returns the exit code; 128 and more where a signal ended it */
  stop(): Promise<number | null>
}

/** Starts the command as it ships in a terminal. @param log a file for its standard output, which is the terminal otherwise */
async function startInTerminal(t: TestContext, args: readonly string[], log?: string): Promise<InTerminal> {
  const command = treelineCommand(args)
  const python = startProcess(t, 'python3', [LOSE_TERMINAL, log ?? '-', command.program, ...command.args], {})
  await python.printed('\n')
  const pid = Number(/^pid (\d+)/.exec(python.soFar())?.[1])
  let hasEnded = false
  const ended = python.ended.then(({ code, stderr }) => {
    hasEnded = true
    assert.equal(stderr, '')
    return code
  })
  t.after(() => hasEnded || process.kill(pid, 'SIGKILL'))
  return {
    logged: text =>
      log === undefined
        ? python.printed(text)
        : eventually(text, async () => (await readFile(log, 'utf8').catch(() => '')).includes(text)),
    loseTerminal: () => {
      python.child.kill('SIGUSR1')
      return python.printed('terminal lost')
    },
    stop: () => {
      process.kill(pid, 'SIGTERM')
      return ended
    }
  }
}

test('a relay whose terminal has gone answers, runs agents, and ends in order', async t => {
  const tree = await startTree(t, {
    relays: [{ id: 'root', under: 'root', nodes: ['node-1'] }],
    absent: ['root'],
    logLevel: 'debug'
  })
  const root = tree.relay('root')
  const relay = await startInTerminal(t, ['serve', '--config', root.directory])
  await relay.logged('ready')
  const run = () => postForm(root, '/rudder/relay-api/remote-run/nodes/node-1', { keep_output: 'true' })
  assert.match((await run()).text, /agent of node-1/)
  await relay.loseTerminal()
  for (let requests = 0; requests < 50; requests += 1) assert.equal((await ask(root, '/uuid')).text, 'root')
  assert.match((await run()).text, /agent of node-1/)
  assert.equal(await relay.stop(), 0)
})

test('an agent and a client whose terminal has gone end in order, also where their log is a file', async t => {
  const folder = await temporaryFolder(t)
  const { certFile, keyFile } = await makeCertificate(join(folder, 'one'))
  const conf = [
    ...['node_id = "node-1"', `certificate_file = "${certFile}"`, `key_file = "${keyFile}"`, '[upstream]'],
    ...['host = "127.0.0.1:1"', `server_certificate_file = "${certFile}"`, '[storage]', 'path = "state"']
  ]
  const agent = join(folder, 'agent')
  await mkdir(agent)
  await writeFile(join(agent, 'agent.conf'), conf.join('\n'))
  const client = ['client', '--base-url', 'http://127.0.0.1:1', '--server-url', 'https://127.0.0.1:1']
  const programs: readonly (readonly string[])[] = [
    ['agent', '--config', agent],
    [...client, '--client-key', 'k', '--ca', certFile, '--token', 'x', '--health-listen', '127.0.0.1:0']
  ]
  for (const args of programs) {
    for (const log of [undefined, join(folder, `${args[0]}.log`)]) {
      const running = await startInTerminal(t, args, log)
      await running.logged('link')
      await running.loseTerminal()
      if (log !== undefined) await running.logged('reload')
      assert.equal(await running.stop(), 0, `${args[0]}, log ${log ?? 'on the terminal'}`)
    }
  }
})
