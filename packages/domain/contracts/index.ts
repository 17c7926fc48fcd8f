export {
  couponIssuerContract,
  type OpenIssuer,
  type OpenedIssuer,
  type OpenEvent,
} from "./coupon-issuer.contract.ts";
export { eventStoreContract, type OpenStore } from "./event-store.contract.ts";
export { progressFeedContract, type OpenFeed } from "./progress-feed.contract.ts";
export { settle } from "./settle.ts";
