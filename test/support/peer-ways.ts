// The routes of a peer, one for each way of tagging, and where the data of each path is found.
import { NUMBERS } from './shared-data.js'

/** The routes, each with an id: `/plain/:id` and so on. There is a route `/listed-<id>` for each id below LISTED_IDS. */
export const ROUTES = ['plain', 'listed', 'function', 'reply', 'keyed', 'value', 'tagged-value'] as const

export type PeerRoute = typeof ROUTES[number]

/** How many ids have a route `listed` of their own. */
export const LISTED_IDS = 8

/** The ids above this number share their data with a lower one. */
const IDS = Math.floor(NUMBERS / ROUTES.length)

/** The place of the number that the handler of `/<route>/<id>` reads. */
export function placeOf (route: PeerRoute, id: number): number {
  return ROUTES.indexOf(route) * IDS + id % IDS
}

/** The tag of `/<route>/<id>`, for the routes that have tags. */
export function tagOf (route: PeerRoute, id: number | string): string {
  return `${route}-${id}`
}

/** The path of a route with an id. */
export function pathOf (route: PeerRoute, id: number): string {
  return route === 'listed' ? `/listed-${id}` : `/${route}/${id}`
}
