// BullMQ with undici: `worker` runs jobs, `drive` hands them over; results are kept in Redis.

import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

// Its packages are in a folder of its own, which is where it is started.
const require = createRequire(`${process.cwd()}/`)
const { Queue, Worker } = require('bullmq')
const { Agent, request } = require('undici')

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null }
const concurrency = Number(process.env.CONCURRENCY)
const server_url = process.env.SERVER_URL

function work() {
  const dispatcher = new Agent({ connections: concurrency })
  new Worker(
    'bench',
    async (job) => {
      const { statusCode, body } = await request(`${server_url}/${job.data.number}`, { dispatcher })
      await body.text()
      return statusCode
    },
    { connection, concurrency },
  )
}

async function drive() {
  const queue = new Queue('bench', { connection })
  await queue.waitUntilReady()
  console.log('ready')
  for await (const line of createInterface({ input: process.stdin })) {
    const count = Number(line)
    const before = await queue.getCompletedCount()
    const jobs = Array.from({ length: count }, (_, number) => ({ name: 'fetch', data: { number } }))
    const started = performance.now()
    await queue.addBulk(jobs)
    const handedOver = (performance.now() - started) / 1000
    while ((await queue.getCompletedCount()) - before < count) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    console.log(JSON.stringify({ handedOver, recorded: (performance.now() - started) / 1000 }))
  }
  process.exit(0)
}

process.argv[2] === 'worker' ? work() : await drive()
