// A service in a process of its own, to be killed and frozen. Arguments: a port, and a file to which it appends the id of
// each request before it answers. `/slow/<id>` is answered byte by byte. A body is read whole before the answer.
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'

const [port, file] = process.argv.slice(2)
const BYTE_EVERY_MS = 5

const server = createServer((request, response) => {
  const id = request.url.split('/').pop()
  appendFileSync(file, `${request.method} ${id}\n`)
  request.resume().on('end', () => {
    const text = `answer to ${id}`
    if (!request.url.startsWith('/slow/')) return response.end(text)
    response.writeHead(200, { 'content-length': text.length })
    const left = [...text]
    const timer = setInterval(() => {
      response.write(left.shift())
      if (left.length > 0) return
      clearInterval(timer)
      response.end()
    }, BYTE_EVERY_MS)
    response.on('close', () => clearInterval(timer))
  })
})
server.listen(Number(port), '127.0.0.1', () => console.log(`at ${server.address().port}`))
