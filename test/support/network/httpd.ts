import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { freePorts } from '../../../demo/free-ports.js'
import type { TreeMember, TreeRelay } from '../../../demo/relay-tree.js'
import { type Front, untilListens } from './proxies.js'

const PROGRAMS = ['apache2', 'httpd'] as const
const MODULE_FOLDERS = ['/usr/lib/apache2/modules', '/usr/lib64/httpd/modules', '/usr/lib/httpd/modules']
/** `general.proxy_listen` in the pages. */
const PAGE_ADDRESS = 'http://127.0.0.1:3031'
const MODULES = ['mpm_event', 'unixd', 'authz_core', 'authz_host', 'headers', 'proxy', 'proxy_http', 'ssl']

const program = PROGRAMS.find(name => spawnSync(name, ['-v']).error === undefined)
const modules = MODULE_FOLDERS.find(folder => existsSync(join(folder, 'mod_ssl.so')))

/** For `skip`. */
export const whyNoHttpd: string | false =
  program === undefined || modules === undefined ? 'Apache httpd is not installed' : false

/** The part of an existing relay's virtual host for the API, as its packages write it. */
const PACKAGED = (plain: string) => `
ProxyPass /rudder/relay-api/ ${plain}/rudder/relay-api/1/
<Location /rudder/relay-api/>
  Require all denied
</Location>
<Location /rudder/relay-api/shared-folder>
  Require expr "%{SSL_CLIENT_VERIFY} == 'SUCCESS'"
</Location>
`

const SILENT = (address: string) => `
ProxyPass / ${address}/
ProxyAddHeaders Off
`

/** The address to which httpd sends requests. */
export interface Behind {
  /** `general.proxy_listen`. */
  readonly proxied: string
  /** `general.listen`. */
  readonly plain: string
}

export interface Httpd {
  /** With deploy/httpd/treeline.conf, to `proxied`. */
  readonly ours: string
  /** With the rules that Rudder's packages have, to `plain`. */
  readonly packaged: string
  /** Pass everything on and do not say for whom: to `proxied`, and to `plain`. */
  readonly silent: readonly string[]
}

/**
 * The real Apache httpd before a relay, with virtual hosts that take the certificates of `nodes`. In
 * deploy/httpd/treeline.conf nothing is changed but the address of the relay. Ended after the test.
 */
export async function startHttpd(
  t: TestContext,
  folder: string,
  relay: TreeRelay,
  nodes: readonly TreeMember[],
  { proxied, plain }: Behind
): Promise<Httpd> {
  const ports = await freePorts(4)
  await mkdir(folder, { recursive: true })
  const known = join(folder, 'nodescerts.pem')
  await writeFile(known, nodes.map(node => node.certificate.certificatePem).join(''))
  const page = await readFile(new URL('../../../deploy/httpd/treeline.conf', import.meta.url), 'utf8')
  const rules = [page.replaceAll(PAGE_ADDRESS, proxied), PACKAGED(plain), SILENT(proxied), SILENT(plain)]
  const host = (port: number, index: number) =>
    [
      `<VirtualHost 127.0.0.1:${port}>`,
      'SSLEngine on',
      'SSLProtocol -all +TLSv1.3',
      `SSLCertificateFile "${relay.certificateFile}"`,
      `SSLCertificateKeyFile "${relay.keyFile}"`,
      'SSLVerifyClient optional',
      `SSLCACertificateFile "${known}"`,
      rules[index],
      '</VirtualHost>'
    ].join('\n')
  await run(t, folder, ports, ports.map(host))
  const [ours = '', packaged = '', ...silent] = ports.map(port => `https://127.0.0.1:${port}`)
  return { ours, packaged, silent }
}

/**
 * Httpd with its virtual host of docs/links.md, of which nothing is changed but addresses, files and the protocol of upgrades.
 * Ended after the test.
 */
export async function startHttpdForLinks(
  t: TestContext,
  folder: string,
  { cert, key, plain }: Front,
  upgrade: 'websocket' | 'ANY' = 'websocket'
): Promise<{ readonly port: number }> {
  const [port = 0] = await freePorts(1)
  const page = await readFile(new URL('../../../docs/links.md', import.meta.url), 'utf8')
  const [, snippet = ''] = /```apache\n([\s\S]*?)```/.exec(page) ?? []
  const changed = snippet
    .replace('*:443', `127.0.0.1:${port}`)
    .replace('/etc/httpd/root.pem', `"${cert}"`)
    .replace('/etc/httpd/root.key', `"${key}"`)
    .replace('upgrade=websocket', `upgrade=${upgrade}`)
    .replaceAll(PAGE_ADDRESS, plain)
  await run(t, folder, [port], [changed])
  return { port }
}

async function run(t: TestContext, folder: string, ports: readonly number[], hosts: readonly string[]): Promise<void> {
  const conf = join(folder, 'httpd.conf')
  const lines = [
    `ServerRoot "${folder}"`,
    `ServerName localhost`,
    `PidFile "${join(folder, 'pid')}"`,
    `DefaultRuntimeDir "${folder}"`,
    `ErrorLog "${join(folder, 'error.log')}"`,
    ...(process.getuid?.() === 0 ? ['User #65534', 'Group #65534'] : []),
    ...ports.map(port => `Listen 127.0.0.1:${port}`),
    ...hosts
  ]
  await writeFile(conf, `${[...loadModules(), ...lines].join('\n')}\n`)
  const child = spawn(program ?? '', ['-f', conf, '-D', 'FOREGROUND'], { stdio: ['ignore', 'inherit', 'inherit'] })
  t.after(() => child.kill('SIGTERM'))
  await untilListens(ports[0] ?? 0)
}

/** Some distributions have some of them built in. */
function loadModules(): string[] {
  return MODULES.flatMap(name => {
    const file = join(modules ?? '', `mod_${name}.so`)
    return existsSync(file) ? [`LoadModule ${name}_module "${file}"`] : []
  })
}
