import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect } from 'node:tls'
import { freePorts } from '../../demo/free-ports.js'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { makeCertificate } from '../support/network/openssl-certificate.js'
import { untilListens, whyNot } from '../support/network/proxies.js'
import { startServiceTree } from '../support/relays/service-tree.js'
import { editConfig } from '../support/relays/tree-files.js'

const WORKERS = 6
/** Answers before and after each exchange. */
const ANSWERS_BETWEEN = 60

/** nginx with a certificate of its own issue, which asks for one of two others and answers with its number. */
async function startNginx(t: TestContext, folder: string) {
  const [server, nextServer, one, two] = await Promise.all(
    ['server', 'next-server', 'one', 'two'].map(name => makeCertificate(join(folder, name)))
  )
  if (!(server && nextServer && one && two)) throw new Error('certificates are missing')
  const [port = 0] = await freePorts(1)
  const known = join(folder, 'known.pem')
  await writeFile(known, one.cert + two.cert)
  const [cert, key] = [join(folder, 'nginx.cert'), join(folder, 'nginx.key')]
  const show = async (from: typeof server) => {
    await copyFile(from.certFile, cert)
    await copyFile(from.keyFile, key)
  }
  await show(server)
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${folder}/${kind};`)
  const conf = join(folder, 'nginx.conf')
  await writeFile(
    conf,
    `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; events {}
http {
  access_log off; ${temp.join(' ')}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${cert}; ssl_certificate_key ${key};
    ssl_client_certificate ${known}; ssl_verify_client on;
    location / { return 200 "$ssl_client_serial\\n"; }
  }
}
`
  )
  const child: ChildProcess = spawn('nginx', ['-c', conf, '-p', folder, '-e', join(folder, 'error.log')], {
    stdio: 'ignore'
  })
  t.after(() => child.kill('SIGTERM'))
  await untilListens(port)
  const reload = async () => {
    await show(nextServer)
    child.kill('SIGHUP')
    await eventually('the next certificate of nginx', async () => (await shownAt(port)) === nextServer.fingerprint)
  }
  const withSerial = (of: typeof one) => ({ ...of, serial: new X509Certificate(of.cert).serialNumber })
  const ca = server.cert + nextServer.cert
  return { url: `https://localhost:${port}`, ca, one: withSerial(one), two: withSerial(two), reload }
}

/** The fingerprint of the certificate that a TLS server shows. */
function shownAt(port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256)
      socket.destroy()
    })
    socket.on('error', () => resolve(undefined))
  })
}

/** Asks all the time. @param methods one after the other */
function startCallers(url: string, methods: readonly string[]) {
  const answers: string[] = []
  const failures: string[] = []
  let isOver = false
  const workers = Array.from({ length: WORKERS }, async (_, worker) => {
    for (let index = worker; !isOver; index += 1) {
      const method = methods[index % methods.length] ?? 'GET'
      const body = method === 'POST' ? { body: 'x'.repeat(10_000) } : {}
      try {
        const answer = await fetch(url, { method, ...body })
        const text = await answer.text()
        if (answer.status === 200) answers.push(text.trim())
        else failures.push(`${method}: ${answer.status} ${text}`)
      } catch (error) {
        failures.push(`${method}: ${String(error)}`)
      }
    }
  })
  const more = async () => {
    const from = answers.length
    await eventually('answers', () => answers.length >= from + ANSWERS_BETWEEN || failures.length > 0)
  }
  const untilAnswer = (isWanted: (answer: string) => boolean) =>
    eventually('an answer', () => answers.some(isWanted) || failures.length > 0)
  const stop = async () => {
    isOver = true
    await Promise.all(workers)
    return { answers, failures }
  }
  return { more, untilAnswer, stop }
}

test('nginx that asks for certificates: these and its own are exchanged while requests run, and none fails', {
  skip: whyNot('nginx')
}, async t => {
  const { tree, urlOf, untilKnown } = await startServiceTree(t)
  const nginx = await startNginx(t, tree.folder)
  const [ca, cert, key] = ['ca.pem', 'client.cert', 'client.key'].map(name => join(tree.folder, name))
  if (!(ca && cert && key)) throw new Error('files are missing')
  await writeFile(ca, nginx.ca)
  await copyFile(nginx.one.certFile, cert)
  await copyFile(nginx.one.keyFile, key)
  const section = `
[[service]]
key = "git"
url = "${nginx.url}"
ca_file = "${ca}"
[service.credentials]
type = "client_certificate"
file = "${cert}"
key_file = "${key}"
`
  await editConfig(tree.relay('middle'), text => text + section)
  assert.equal((await ask(tree.relay('middle'), '/system/reload', { method: 'POST' })).status, 200)
  await untilKnown('middle')
  const url = `${await urlOf('root')}/`

  const calls = startCallers(url, ['GET', 'POST'])
  await calls.more()
  await copyFile(nginx.two.certFile, cert) // its key is not there yet
  await calls.more()
  await copyFile(nginx.two.keyFile, key)
  await calls.untilAnswer(answer => answer === nginx.two.serial)
  await calls.more()
  const { answers, failures } = await calls.stop()
  assert.deepEqual(failures, [])
  assert.deepEqual(new Set(answers), new Set([nginx.one.serial, nginx.two.serial]))

  // A POST may meet the end of a connection that nginx has just given up, and is not sent twice. A GET is.
  const reads = startCallers(url, ['GET'])
  await reads.more()
  await nginx.reload()
  await reads.more()
  assert.deepEqual((await reads.stop()).failures, [])
  assert.doesNotMatch(await readFile(join(tree.folder, 'error.log'), 'utf8').catch(() => ''), /\[emerg\]/)
})
