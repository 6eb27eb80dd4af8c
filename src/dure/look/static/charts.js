// Draws each chart anew with vega-embed, so that its marks answer to the pointer. Without it the picture stays.
"use strict";

const dark = window.matchMedia("(prefers-color-scheme: dark)");

async function draw(figure) {
  const theme = dark.matches ? "dark" : "light";
  const answer = await fetch(`${figure.dataset.chart}&theme=${theme}`, { credentials: "same-origin" });
  if (!answer.ok) return;
  const place = document.createElement("div");
  place.setAttribute("aria-hidden", "true");
  const options = {
    ast: true,
    actions: false,
    renderer: "svg",
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
  };
  await vegaEmbed(place, await answer.json(), options);
  const picture = figure.querySelector("picture");
  picture.classList.add("unseen");
  figure.querySelector(".drawn").querySelectorAll(":scope > div").forEach((old) => old.remove());
  figure.querySelector(".drawn").append(place);
  figure.dataset.drawn = theme;
}

function drawAll() {
  document.querySelectorAll("figure[data-chart]").forEach((figure) => {
    draw(figure).catch((error) => console.error(error));
  });
}

document.addEventListener("DOMContentLoaded", drawAll);
dark.addEventListener("change", drawAll);
