/** What a shop writes to show a coupon: the element, whose it is, and what to do with the code. */

const asked = new URLSearchParams(location.search);
const coupon = document.createElement("stampede-coupon");
// In a real shop: server is where Stampede is, and `coupon.token` a function that gives the token of
// whoever is signed in. A bare name counts with AUTH=dev only.
for (const name of ["event", "server", "user", "token", "lang"]) {
  const value = asked.get(name);
  if (value !== null) coupon.setAttribute(name, value);
}
coupon.addEventListener("stampede-issued", (event) => {
  if (!(event instanceof CustomEvent)) return;
  const told = document.getElementById("told");
  if (told !== null) told.textContent = `The shop's cart has the code ${event.detail.code}.`;
});
document.querySelector("main")?.append(coupon);
