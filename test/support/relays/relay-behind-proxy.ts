import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { freePorts } from '../../../demo/free-ports.js'
import type { RelayTree, TreeRelay } from '../../../demo/relay-tree.js'
import { startTcpProxy, type TcpProxy } from '../network/tcp-proxy.js'

/** Changes the configuration of a relay that is not started yet. @throws {Error} when nothing matches */
export async function changeConfig(relay: TreeRelay, what: RegExp, instead: string): Promise<void> {
  const file = join(relay.directory, 'main.conf')
  const text = await readFile(file, 'utf8')
  if (!what.test(text)) throw new Error(`${file} has no ${what}`)
  await writeFile(file, text.replace(what, instead))
}

/** Gives a relay that is not started yet a `general.proxy_listen`, for the web server in front of it. @returns its address */
export async function addProxyListen(relay: TreeRelay): Promise<string> {
  const [port = 0] = await freePorts(1)
  await changeConfig(relay, /\[general\]/, `[general]\nproxy_listen = "127.0.0.1:${port}"`)
  return `http://127.0.0.1:${port}`
}

/** Has a relay that is not started yet reach its policy server at another port of loopback. */
export function reachUpstreamAt(relay: TreeRelay, port: number): Promise<void> {
  return changeConfig(relay, /(\[output\.upstream\]\nhost = ")[^"]*"/, `$1127.0.0.1:${port}"`)
}

/** Puts a proxy between a relay that is not started yet and its policy server. */
export async function proxyUpstream(t: TestContext, tree: RelayTree, id: string): Promise<TcpProxy> {
  const relay = tree.relay(id)
  const proxy = await startTcpProxy(t, Number(new URL(tree.relay(relay.policyServer).url).port))
  await reachUpstreamAt(relay, proxy.port)
  return proxy
}
