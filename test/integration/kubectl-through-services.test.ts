import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { startKubernetes, whyNoKubernetes } from '../support/network/kubernetes.js'
import { startTcpProxy } from '../support/network/tcp-proxy.js'
import { startClientOf } from '../support/relays/clients.js'
import { startServiceTree } from '../support/relays/service-tree.js'
import { editConfig } from '../support/relays/tree-files.js'

/** The framings of streams, and the requests by which the server tells them apart. */
const FRAMINGS = [
  {
    name: 'WebSocket',
    isWebSocket: 'true',
    exec: / websocket v5\.channel\.k8s\.io/,
    forward: / websocket SPDY\/3\.1\+portforward/
  },
  { name: 'SPDY/3.1', isWebSocket: 'false', exec: /^POST .* SPDY\/3\.1 /, forward: /^POST .* SPDY\/3\.1 / }
] as const
const SECTION = '\n[[service_listener]]\nlisten = "127.0.0.1:0"\nfixed = "git"\n'
const MUCH = `${'x'.repeat(99)}\n`.repeat(20_000)

/** A Kubernetes server two levels below the root, and kubectl as a user of the root's TLS listeners has it. */
async function startKubectl(t: TestContext) {
  const services = ['https_listen = "127.0.0.1:0"']
  const { tree, untilKnown } = await startServiceTree(t, 'git', { services, links: ['longest_wait = "1s"'] })
  const kubernetes = await startKubernetes(t, tree.folder, 'first-token')
  const proxy = await startTcpProxy(t, Number(new URL(tree.relay('middle').url).port))
  const { url: baseUrl } = kubernetes
  await startClientOf(t, tree, { relay: 'middle', key: 'git', id: 'one', baseUrl, throughPort: proxy.port })
  await untilKnown('middle')
  const root = tree.relay('root')
  const line = (await tree.processes.get('root')?.logged(text => text.includes('services on https://'))) ?? ''
  const port = /services on https:[^"]+?:(\d+)/.exec(line)?.[1]
  const ca = join(tree.folder, 'ca.pem')
  await writeFile(ca, root.certificate.certificatePem)
  const below = `https://127.0.0.1:${port}/v1/relay/git`
  await editConfig(root, text => text + SECTION)
  await ask(root, '/system/reload', { method: 'POST' })
  const opened = await tree.processes.get('root')?.logged(text => text.includes('listener for services opened'))
  const [, atRoot = ''] = /services at (https:\/\/[\d.:]+)/.exec(opened ?? '') ?? []
  const kubectl = (args: readonly string[], { token = 'first-token', isWebSocket = 'true' } = {}) => {
    // kubectl asks raw paths at the root of the host, whatever the path of its server is
    const server = args.includes('--raw') ? atRoot : below
    const options = [
      `--server=${server}`,
      `--tls-server-name=${root.hostname}`,
      `--certificate-authority=${ca}`,
      `--token=${token}`,
      ...args
    ]
    const env = {
      PATH: process.env.PATH,
      HOME: tree.folder,
      KUBECONFIG: '/dev/null',
      KUBECTL_REMOTE_COMMAND_WEBSOCKETS: isWebSocket,
      KUBECTL_PORT_FORWARD_WEBSOCKETS: isWebSocket
    }
    return new Command(t, spawn('kubectl', options, { env }))
  }
  return { kubernetes, kubectl, proxy }
}

/** A command that is under way. */
class Command {
  stdout = ''
  stderr = ''
  readonly ended: Promise<number | string>

  constructor(
    t: TestContext,
    readonly child: ChildProcessWithoutNullStreams
  ) {
    child.stdout.setEncoding('utf8').on('data', text => {
      this.stdout += String(text)
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      this.stderr += String(text)
    })
    child.stdin.on('error', () => undefined) // it has ended
    this.ended = once(child, 'close').then(([code, signal]) => code ?? signal)
    t.after(() => child.kill('SIGKILL'))
  }

  printed(text: string): Promise<unknown> {
    return eventually(`${text} of kubectl: ${this.stderr}`, () => this.stdout.includes(text))
  }
}

test('kubectl reaches a server two levels below', { skip: whyNoKubernetes }, async t => {
  const { kubernetes, kubectl, proxy } = await startKubectl(t)
  const ends = (what: string) => kubernetes.printed().filter(line => line === `${what} ended`).length

  await t.test('get, and get --raw', async () => {
    const listed = kubectl(['get', 'pods', '--output=name'])
    assert.deepEqual([await listed.ended, listed.stdout], [0, 'pod/web\n'], listed.stderr)
    const raw = kubectl(['get', '--raw', '/api/v1/namespaces/default/pods?limit=1'])
    assert.equal(await raw.ended, 0, raw.stderr)
    assert.equal(JSON.parse(raw.stdout).kind, 'PodList')
  })

  for (const { name, isWebSocket, exec, forward } of FRAMINGS) {
    await t.test(`exec over ${name}: the caller ends its input, and gets all of the output`, async () => {
      const command = kubectl(['exec', '-i', 'web', '--', 'cat'], { isWebSocket })
      command.child.stdin.write('hello\n')
      await command.printed('hello\n')
      command.child.stdin.end(MUCH)
      assert.deepEqual([await command.ended, command.stderr], [0, 'the program has ended\n'])
      assert.ok(command.stdout === `hello\n${MUCH}`, `${command.stdout.length} characters`)
      assert.ok(
        kubernetes.printed().some(line => line.includes('/exec ') && exec.test(line)),
        kubernetes.printed().join('\n')
      )
    })

    await t.test(`exec over ${name}: the program ends first`, async () => {
      const command = kubectl(['exec', '-i', 'web', '--', 'cat'], { isWebSocket })
      command.child.stdin.write('hello\nexit\n')
      assert.equal(await command.ended, 7, command.stderr)
      assert.equal(command.stdout, 'hello\n')
    })

    await t.test(`exec over ${name}: the caller is killed, and the server sees its end`, async () => {
      const before = ends('exec')
      const command = kubectl(['exec', '-i', 'web', '--', 'cat'], { isWebSocket })
      command.child.stdin.write('hello\n')
      await command.printed('hello\n')
      command.child.kill('SIGKILL')
      await eventually('the end of the program', () => ends('exec') > before)
    })

    await t.test(`port-forward over ${name}: connections both ways, ended by either side`, async () => {
      const before = ends('port-forward')
      const command = kubectl(['port-forward', 'web', ':80'], { isWebSocket })
      await command.printed('Forwarding from 127.0.0.1')
      const port = Number(/127\.0\.0\.1:(\d+)/.exec(command.stdout)?.[1])
      for (const last of ['close\n', 'end\n']) {
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
        let text = ''
        socket.setEncoding('latin1').on('data', piece => {
          text += String(piece)
        })
        const ended = once(socket, 'end')
        socket.write(`hello\n${MUCH}`)
        await eventually('much', () => text === `hello\n${MUCH}`)
        if (last === 'close\n') socket.write(last)
        else socket.end(last)
        await ended
        assert.ok(text.endsWith(last))
        socket.end()
      }
      command.child.kill('SIGKILL')
      await eventually('the end at the server', () => ends('port-forward') > before)
      assert.ok(kubernetes.printed().some(line => line.includes('/portforward ') && forward.test(line)))
    })
  }

  await t.test('logs -f: each line comes at once', async () => {
    const command = kubectl(['logs', '-f', 'web'])
    for (const line of ['first line', 'second line']) {
      await kubernetes.feed(line)
      await command.printed(`${line}\n`)
    }
    command.child.kill()
    await command.ended
  })

  await t.test('a watch through a link that is cut ends in an error, and goes on over the next one', async () => {
    const watch = (version: number) =>
      kubectl(['get', '--raw', `/api/v1/namespaces/default/pods?watch=1&resourceVersion=${version}`])
    const first = watch(0)
    await kubernetes.feed('pod second')
    await first.printed('"name":"second"')
    proxy.cut()
    assert.notEqual(await first.ended, 0)
    const isBack = () => kubectl(['get', '--raw', '/api/v1/namespaces/default/pods?limit=1']).ended
    await eventually('the service at the root again', async () => (await isBack()) === 0)
    const next = watch(4) // behind two lines of the log and a pod
    await kubernetes.feed('pod third')
    await next.printed('"name":"third"')
    assert.doesNotMatch(next.stdout, /"second"/)
    next.child.kill()
    await next.ended
  })

  await t.test('a rotated token: the former is refused by the server, and the new one let in', async () => {
    await kubernetes.rotate('second-token')
    const refused = kubectl(['get', '--raw', '/api'])
    assert.notEqual(await refused.ended, 0)
    assert.match(refused.stderr, /provide credentials|Unauthorized/)
    const taken = kubectl(['get', '--raw', '/api'], { token: 'second-token' })
    assert.equal(await taken.ended, 0, taken.stderr)
  })
})
