import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { type BrowserPage, startChromium, whyNoChromium } from '../support/machine/chromium.js'
import { ask } from '../support/network/http.js'
import { openServer } from '../support/network/open-server.js'
import { startWebSite } from '../support/network/web-site.js'
import { clientTokenLine, startClientOf } from '../support/relays/clients.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'

/** Two sites behind a relay that has a link to the root, where both have a path, and one has a root of its own. */
async function startSites(t: TestContext) {
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: ['node-r1'] },
      { id: 'middle', under: 'root', nodes: ['node-m1'], byLink: true }
    ],
    absent: ['root', 'middle'],
    settings: { tokens: ['clients_file = "clients"'], services: ['listen = "127.0.0.1:0"'] }
  })
  const root = tree.relay('root')
  for (const id of ['root', 'middle']) {
    const lines = ['shop', 'wiki'].map(clientTokenLine)
    await writeFile(join(tree.relay(id).directory, 'clients'), lines.join(''))
  }
  const section = '\n[[service_listener]]\nlisten = "127.0.0.1:0"\ntls = false\nfixed = "shop"\n'
  await editConfig(root, text => text + section)
  const running = await tree.restart('root')
  await tree.restart('middle')
  const [shop, wiki] = [await startWebSite(t, 'shop'), await startWebSite(t, 'wiki')]
  for (const [key, { baseUrl }] of Object.entries({ shop, wiki })) {
    await startClientOf(t, tree, { relay: 'middle', key, id: 'one', baseUrl })
  }
  await eventually('both keys', async () => {
    const { text } = await ask(root, '/v1/relay/clients')
    return text.includes('"shop"') && text.includes('"wiki"')
  })
  const ready = await running.logged(text => text.includes('services on http://'))
  const paths = /services on (http:\/\/[\d.:]+)/.exec(ready)?.[1] ?? assert.fail(ready)
  const own = /services at (http:\/\/[\d.:]+)/.exec(ready)?.[1] ?? assert.fail(ready)
  return { root, shop, wiki, paths, own }
}

/** Logs in at a site, as a user does. */
async function logIn(page: BrowserPage, url: string, user: string): Promise<void> {
  await page.open(url)
  await page.until('document.title === "log in"')
  await page.value(
    `document.forms[0].elements.user.value = '${user}'; document.forms[0].querySelector('button').click()`
  )
  await page.until('document.title === "home"')
}

/** Waits for all that the page behind the log-in loads. */
async function seeHome(page: BrowserPage, name: string, user: string): Promise<void> {
  await page.until(`document.getElementById('user')?.textContent === '${name} knows ${user}'`)
  await page.until(`document.getElementById('echo')?.textContent === '${name} says hello to ${user}'`)
  await page.until('getComputedStyle(document.getElementById("user")).color === "rgb(1, 2, 3)"')
}

test('web pages with a log-in, cookies, redirects and a WebSocket work in a browser', {
  skip: whyNoChromium
}, async t => {
  const { root, shop, wiki, paths, own } = await startSites(t)
  const newPage = await startChromium(t)

  await t.test('below a prefix, where two services do not see the cookies of each other', async () => {
    const page = await newPage()
    const [shopUrl, wikiUrl] = [`${paths}/v1/relay/shop/`, `${paths}/v1/relay/wiki/`]
    await logIn(page, shopUrl, 'ann')
    await seeHome(page, 'shop', 'ann')
    assert.equal(await page.value('location.href'), shopUrl, 'both redirects stay below the prefix')
    assert.equal(await page.value('document.cookie'), 'name=shop')
    await logIn(page, wikiUrl, 'bob')
    await seeHome(page, 'wiki', 'bob')
    assert.equal(await page.value('location.href'), wikiUrl)
    assert.equal(await page.value('document.cookie'), 'name=wiki')
    await page.open(shopUrl)
    await seeHome(page, 'shop', 'ann')
    assert.deepEqual([...shop.cookies].sort(), ['name=shop', 'session=ann'])
    assert.deepEqual([...wiki.cookies].sort(), ['name=wiki', 'session=bob'])
    const stranger = await newPage()
    await stranger.open(shopUrl)
    await stranger.until('document.title === "log in"')
  })

  await t.test('at a root of its own', async () => {
    const page = await newPage()
    await logIn(page, `${own}/`, 'eve')
    await seeHome(page, 'shop', 'eve')
    assert.equal(await page.value('location.href'), `${own}/`)
  })

  await t.test('a page of another origin that posts forms starts no run, and reaches no service', async () => {
    const before = [shop.requests.length, wiki.requests.length]
    const form = (action: string) =>
      `<!doctype html><title>foreign</title><form method="post" enctype="text/plain" action="${action}"><input name="a" value="b"></form>`
    const server = createServer(({ url = '' }, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end(form(decodeURIComponent(url.slice(1))))
    })
    const port = await openServer(t, server)
    const targets = [`${root.localUrl}/rudder/relay-api/remote-run/all`, `${paths}/v1/relay/shop/login`, `${own}/login`]
    for (const host of ['evil.test', '127.0.0.1']) {
      for (const target of targets) {
        for (const asked of [target, target.replace('127.0.0.1', 'rebound.test')]) {
          const page = await newPage()
          await page.open(`http://${host}:${port}/${encodeURIComponent(asked)}`)
          const sent = await page.value(
            `fetch('${asked}', { method: 'POST', mode: 'no-cors', body: 'a=b' }).then(() => 'sent')`
          )
          assert.equal(sent, 'sent', 'the browser keeps the answer to itself, but sends')
          await page.value('document.forms[0].submit()')
          await page.until('document.title !== "foreign" && document.readyState === "complete"')
          const text = String(await page.value('document.body.innerText'))
          assert.match(text, /web page|web pages|no name of this relay/, `${host} to ${asked}`)
        }
      }
    }
    const runs = await ask(root, '/runs')
    assert.equal(runs.status, 200)
    assert.deepEqual((JSON.parse(runs.text) as { runs: unknown[] }).runs, [])
    assert.deepEqual([shop.requests.length, wiki.requests.length], before)
  })
})
