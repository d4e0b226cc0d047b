// The reference for HEAD: what Fastify alone can do, in a process of its own.
import { fastify } from 'fastify'

const app = fastify({ logger: false })
app.head('/empty', (_request, reply) => {
  reply.send()
})
await app.listen({ host: '127.0.0.1', port: 0 })
const address = app.server.address()
console.log(typeof address === 'object' ? address?.port : '')
