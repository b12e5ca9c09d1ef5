// The Redis backend: it stores each entry under one key in Redis, Valkey or a Cluster, through the ioredis of @fastify/redis.
import { defineBackend } from '../registry/registry.js'
import { RedisBackend } from './redis/backend.js'
import { Commands } from './redis/commands.js'
import { openConnection } from './redis/connection.js'
import { readOptions, type RedisOptions } from './redis/options.js'

export {
  REDIS_MAX_VALUE_BYTES, REDIS_PREFIX, REDIS_WAIT_REPLICAS_TIMEOUT, type LentRedis, type RedisConnection, type RedisOptions
} from './redis/options.js'

export default defineBackend<RedisOptions>({
  name: 'redis',
  async create (options, context) {
    const settings = readOptions(options)
    const connection = await openConnection(settings, context)
    return new RedisBackend(new Commands(connection, settings.timeoutMs), settings, context)
  }
})
