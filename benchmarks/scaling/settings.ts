// What is simulated: the traffic, the failover, and the ways in which processes may work together.

/** A way in which the processes use one store. */
export interface Way {
  readonly name: string
  /** Whether the backend has `claim`, `settle` and `version`. */
  readonly hasClaims: boolean
  /** How long a copy of an entry or of a stamp stays in the memory of a process; 0: there are no copies. */
  readonly nearTtlMs: number
  /** Whether the processes hear of changes, and drop their copies. */
  readonly hears: boolean
}

export const WITHOUT_CLAIMS: Way = { name: 'no claims', hasClaims: false, nearTtlMs: 0, hears: false }
export const WITH_CLAIMS: Way = { name: 'claims', hasClaims: true, nearTtlMs: 0, hears: false }
export const NEAR: Way = { name: 'near tiers', hasClaims: false, nearTtlMs: 1_000, hears: false }
export const NEAR_THAT_HEARS: Way = { name: 'near tiers that hear (not yet)', hasClaims: true, nearTtlMs: Infinity, hears: true }

export const WAYS: readonly Way[] = [WITHOUT_CLAIMS, WITH_CLAIMS, NEAR, NEAR_THAT_HEARS]

/** The numbers of processes that are simulated. */
export const PROCESSES = [1, 3, 10, 30, 100, 300, 1000]

/** The traffic of all processes together, and what happens to it. Requests and changes of keys follow Zipf's law with exponent 1. */
export interface Traffic {
  readonly seed: number
  readonly keys: number
  /** Each key has one tag, which is known only after its handler has run. */
  readonly tags: number
  readonly requestsPerSecond: number
  readonly keyChangesPerSecond: number
  readonly tagChangesPerSecond: number
  readonly ttlMs: number
  /** Handlers take this long, plus or minus half of it. */
  readonly handlerMs: number
  /** One handler in so many takes `slowHandlerMs`, so that its lease has to be renewed. */
  readonly oneSlowIn: number
  readonly slowHandlerMs: number
  readonly roundTripMs: number
  /** How long a message to other processes is under way. */
  readonly messageMs: number
  /** How long it takes on average until the connection of a process that hears is lost without a sign. */
  readonly silentLossMs: number
  readonly secondsBefore: number
  readonly secondsAfter: number
  /** For how long the store is away after `secondsBefore`. */
  readonly awayMs: number
  /** How much of what was last written is lost then. Infinity: all of it, because the store starts empty. */
  readonly lostMs: number
}

export const TRAFFIC: Traffic = {
  seed: 1,
  keys: 10_000,
  tags: 100,
  requestsPerSecond: 10_000,
  keyChangesPerSecond: 10,
  tagChangesPerSecond: 1,
  ttlMs: 60_000,
  handlerMs: 100,
  oneSlowIn: 1_000,
  slowHandlerMs: 3_000,
  roundTripMs: 0.5,
  messageMs: 1,
  silentLossMs: 600_000,
  secondsBefore: 40,
  secondsAfter: 10,
  awayMs: 2_000,
  lostMs: 500
}

/** The same traffic, but the store starts empty after it was away. */
export const EMPTIED: Traffic = { ...TRAFFIC, lostMs: Infinity }

// The rules of the plugin. A test compares them with its sources.
export const LEASE_MS = 1_000
export const LOCK_TIMEOUT_MS = 5_000
export const PAUSES_MS: readonly number[] = [10, 20, 40, 80, 100]
export const PAUSE_JITTER = 0.5
export const FAILURES_TO_PAUSE = 5
export const FIRST_PAUSE_MS = 1_000
export const LONGEST_PAUSE_MS = 30_000
export const BREAKER_JITTER = 0.2
/** How often a near tier tries changes again that the store did not confirm. */
export const RETRY_MS = 1_000
/** How many changes it tries at a time. */
export const RETRIES = 256

// The rules of near tiers that hear, which are a plan: a connection without a sign of life for so long counts as lost.
export const HEARTBEAT_MS = 1_000
export const PATIENCE_MS = 500
export const RECONNECT_MS = 200
