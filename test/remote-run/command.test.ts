import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test, { type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Command, commandLine } from '../../src/remote-run/execution/command.js'
import { CommandHost } from '../../src/remote-run/execution/command-host.js'
import { isAlive } from '../support/machine/is-alive.js'
import { temporaryFolder, writeCommand } from '../support/parts/remote-runs.js'

function specOf(t: TestContext, script: string, onOutput: (text: string) => void = () => undefined) {
  return {
    file: writeCommand(temporaryFolder(t), `#!/bin/sh\n${script}\n`),
    args: [],
    timeoutMs: 20_000,
    killGraceMs: 100,
    onStarted: () => undefined,
    onOutput: (_: string, lines: string) => onOutput(lines)
  }
}

test('the command line is the one of the contract, with sudo in front where it is wanted', () => {
  const config = { command: '/opt/rudder/bin/rudder', useSudo: true }
  assert.deepEqual(commandLine(config, ['c1', 'c2'], ['h1', 'h2']), {
    file: 'sudo',
    args: ['/opt/rudder/bin/rudder', 'remote', 'run', '-D', 'c1,c2', '--', 'h1,h2']
  })
  assert.deepEqual(commandLine({ ...config, useSudo: false }, [], ['h1']), {
    file: '/opt/rudder/bin/rudder',
    args: ['remote', 'run', '--', 'h1']
  })
})

test('a stop reaches grandchildren that ignore SIGTERM', async t => {
  const pid = withResolvers<number>()
  const spec = specOf(t, 'sh -c \'trap "" TERM; echo $$; while :; do sleep 0.05; done\' & wait', text => {
    pid.resolve(Number(text))
  })
  const command = new Command(spec)
  const grandchild = Number(await pid.promise)
  assert.ok(grandchild > 0)
  command.stop()
  assert.deepEqual(await command.ended, { kind: 'stopped' })
  while (isAlive(grandchild)) await new Promise(resolve => setImmediate(resolve))
})

test('a timeout stops the command', async t => {
  const command = new Command({ ...specOf(t, 'exec sleep 60'), timeoutMs: 50 })
  assert.deepEqual(await command.ended, { kind: 'timed_out' })
})

test('exit codes and signals are told', async t => {
  assert.deepEqual(await new Command(specOf(t, 'exit 7')).ended, { kind: 'exited', exitCode: 7, signal: null })
  const killed = await new Command(specOf(t, 'kill -TERM $$')).ended
  assert.deepEqual(killed, { kind: 'exited', exitCode: 143, signal: 'SIGTERM' })
})

test('a command that is not there or may not be executed says so', async t => {
  const spec = specOf(t, 'exit 0')
  const missing = await new Command({ ...spec, file: '/nowhere/rudder' }).ended
  assert.match(missing.kind === 'failed' ? missing.reason : '', /cannot start \/nowhere\/rudder: there is no such/)
  const folder = await new Command({ ...spec, file: temporaryFolder(t) }).ended
  assert.match(folder.kind === 'failed' ? folder.reason : '', /may not be executed/)
})

test('the environment of the relay is not handed on', async t => {
  process.env.TREELINE_TEST_SECRET = 'secret'
  t.after(() => delete process.env.TREELINE_TEST_SECRET)
  let output = ''
  await new Command(
    specOf(t, 'env', text => {
      output += text
    })
  ).ended
  assert.match(output, /^PATH=/m)
  assert.doesNotMatch(output, /TREELINE_TEST_SECRET/)
})

test('a host runs commands, and those of a host that is killed are lost, with a reason', async t => {
  const host = new CommandHost()
  t.after(() => host.close())
  let output = ''
  const parent = await host.start(
    specOf(t, 'echo $PPID', text => {
      output += text
    })
  ).ended
  assert.deepEqual(parent, { kind: 'exited', exitCode: 0, signal: null })
  const started = withResolvers<number>()
  const command = host.start({ ...specOf(t, 'exec sleep 60'), onStarted: started.resolve })
  const orphan = await started.promise
  process.kill(Number(output), 'SIGKILL')
  const end = await command.ended
  assert.match(end.kind === 'lost' ? end.reason : '', /SIGKILL/)
  while (isAlive(orphan)) await new Promise(resolve => setImmediate(resolve))
  assert.equal((await host.start(specOf(t, 'exit 0')).ended).kind, 'exited')
})

test('a host that is frozen is killed when it does not stop a command in time, or does not end', async t => {
  const stuckMs = 50
  for (const end of ['stop', 'close'] as const) {
    const host = new CommandHost(undefined, stuckMs)
    t.after(() => host.close())
    const parent = withResolvers<number>()
    const command = host.start(specOf(t, 'echo $PPID; exec sleep 60', text => parent.resolve(Number(text))))
    const pid = await parent.promise
    process.kill(pid, 'SIGSTOP')
    if (end === 'stop') command.stop()
    else await host.close()
    assert.equal((await command.ended).kind, 'lost')
    while (isAlive(pid)) await new Promise(resolve => setImmediate(resolve))
  }
})

test('a command that comes while an idle host ends gets a host of its own', async t => {
  const host = new CommandHost(0)
  t.after(() => host.close())
  for (let round = 0; round < 3; round++) {
    const end = await host.start(specOf(t, 'sleep 0.2')).ended
    assert.deepEqual(end, { kind: 'exited', exitCode: 0, signal: null })
    await new Promise(resolve => setTimeout(resolve, 2)) // a timer after the one that ends the host
  }
})

test('no file left to start a host with: the command fails with the reason, and the next one runs', async () => {
  const script = fileURLToPath(new URL('../support/work/command-host-without-files.ts', import.meta.url))
  const limited = ['-c', 'ulimit -n 64 && exec "$@"', 'sh', process.execPath, '--import', 'tsx', script]
  const { stdout } = await promisify(execFile)('/bin/sh', limited)
  const [first, second] = JSON.parse(stdout)
  assert.equal(first.kind, 'failed')
  assert.match(first.reason, /^the process that starts commands cannot be started: .*EMFILE/)
  assert.deepEqual(second, { kind: 'exited', exitCode: 0, signal: null })
})

test('a host that is closed takes its commands along', async t => {
  const host = new CommandHost()
  const pid = withResolvers<number>()
  const command = host.start(specOf(t, 'echo $$; exec sleep 60', text => pid.resolve(Number(text))))
  const child = await pid.promise
  await host.close()
  await command.ended
  assert.ok(!isAlive(child))
})

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>(settle => {
    resolve = settle
  })
  return { promise, resolve }
}
