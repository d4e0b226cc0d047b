import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { freePorts } from '../../demo/free-ports.js'
import type { TreeMember, TreeRelay } from '../../demo/relay-tree.js'
import { untilListens } from './proxies.js'

const PROGRAMS = ['apache2', 'httpd'] as const
const MODULE_FOLDERS = ['/usr/lib/apache2/modules', '/usr/lib64/httpd/modules', '/usr/lib/httpd/modules']
const MODULES = ['mpm_event', 'unixd', 'authz_core', 'authz_host', 'headers', 'proxy', 'proxy_http', 'ssl']

const program = PROGRAMS.find(name => spawnSync(name, ['-v']).error === undefined)
const modules = MODULE_FOLDERS.find(folder => existsSync(join(folder, 'mod_ssl.so')))

/** For `skip`. */
export const whyNoHttpd: string | false =
  program === undefined || modules === undefined ? 'Apache httpd is not installed' : false

/** What an existing relay's virtual host has for the API, as its packages write it. */
const PACKAGED = (plain: string) => `
ProxyPass /rudder/relay-api/ ${plain}/rudder/relay-api/1/
<Location /rudder/relay-api/>
  Require all denied
</Location>
<Location /rudder/relay-api/shared-folder>
  Require expr "%{SSL_CLIENT_VERIFY} == 'SUCCESS'"
</Location>
`

export interface Httpd {
  /** With deploy/httpd/treeline.conf. */
  readonly ours: string
  /** With the rules that Rudder's packages have. */
  readonly packaged: string
}

/**
 * The real Apache httpd before a relay, with two virtual hosts that take the certificates of `nodes`. In
 * deploy/httpd/treeline.conf nothing is changed but the address of the relay. Ended after the test.
 */
export async function startHttpd(
  t: TestContext,
  folder: string,
  relay: TreeRelay,
  nodes: readonly TreeMember[]
): Promise<Httpd> {
  const [ours = 0, packaged = 0] = await freePorts(2)
  await mkdir(folder, { recursive: true })
  const known = join(folder, 'nodescerts.pem')
  await writeFile(known, nodes.map(node => node.certificate.certificatePem).join(''))
  const page = await readFile(new URL('../../deploy/httpd/treeline.conf', import.meta.url), 'utf8')
  const host = (port: number, rules: string) =>
    [
      `<VirtualHost 127.0.0.1:${port}>`,
      'SSLEngine on',
      'SSLProtocol -all +TLSv1.3',
      `SSLCertificateFile "${relay.certificateFile}"`,
      `SSLCertificateKeyFile "${relay.keyFile}"`,
      'SSLVerifyClient optional',
      `SSLCACertificateFile "${known}"`,
      rules,
      '</VirtualHost>'
    ].join('\n')
  const conf = join(folder, 'httpd.conf')
  const lines = [
    `ServerRoot "${folder}"`,
    `ServerName localhost`,
    `PidFile "${join(folder, 'pid')}"`,
    `DefaultRuntimeDir "${folder}"`,
    `ErrorLog "${join(folder, 'error.log')}"`,
    ...(process.getuid?.() === 0 ? ['User #65534', 'Group #65534'] : []),
    ...[ours, packaged].map(port => `Listen 127.0.0.1:${port}`),
    host(ours, page.replaceAll('http://127.0.0.1:3031', relay.localUrl)),
    host(packaged, PACKAGED(relay.localUrl))
  ]
  await writeFile(conf, `${[...loadModules(), ...lines].join('\n')}\n`)
  const child = spawn(program ?? '', ['-f', conf, '-D', 'FOREGROUND'], { stdio: ['ignore', 'inherit', 'inherit'] })
  t.after(() => child.kill('SIGTERM'))
  await untilListens(ours)
  return { ours: `https://127.0.0.1:${ours}`, packaged: `https://127.0.0.1:${packaged}` }
}

/** Some distributions have some of them built in. */
function loadModules(): string[] {
  return MODULES.flatMap(name => {
    const file = join(modules ?? '', `mod_${name}.so`)
    return existsSync(file) ? [`LoadModule ${name}_module "${file}"`] : []
  })
}
