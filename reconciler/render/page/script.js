"use strict";
(() => {
  const OPENED = 20; // blocks that a search opens at most
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);
  const groups = all("details.group");
  const tools = document.querySelector(".tools");

  // --- printing: everything, and afterwards what was open before ---
  let before = null;
  const opened = () => new Map(all("details").map((one) => [one, one.open]));
  const reopen = (states) => states.forEach((open, one) => { one.open = open; });
  addEventListener("beforeprint", () => {
    before = before || opened();
    all("details").forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => {
    if (before) reopen(before);
    before = null;
  });
  if (!tools) return;

  // --- search and filters ---
  const search = byId("search");
  const section = byId("section");
  const status = byId("status"); // of environments, on a page with several
  const environments = all("section.environment");
  const boxes = all("input[name=action]", tools);
  const total = groups.reduce((sum, one) => sum + Number(one.dataset.count), 0);
  let texts = null; // of each group: what all of its resources have, and its members with their own
  let unsearched = null; // what was open before the search

  const indexed = () => groups.map((group) => {
    const members = all(".members li", group);
    const own = members.map((one) => one.textContent.toLowerCase());
    const shared = members.length
      ? all(":scope > summary, .body > :not(.members)", group).map((one) => one.textContent).join("\n")
      : group.textContent;
    const of = group.closest("section.environment");
    const heading = of ? of.querySelector("h2").textContent : "";
    return { shared: `${heading}\n${shared}`.toLowerCase(), members, own };
  });

  const paint = (words) => {
    if (!CSS.highlights) return;
    CSS.highlights.delete("found");
    if (!words.length) return;
    const ranges = [];
    for (const group of groups) {
      if (group.hidden) continue;
      const walker = document.createTreeWalker(group, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const text = walker.currentNode.data.toLowerCase();
        if (text.length !== walker.currentNode.data.length) continue; // some letters change their length
        for (const word of words) {
          for (let at = text.indexOf(word); at >= 0 && ranges.length < 5000; at = text.indexOf(word, at + word.length)) {
            const range = new Range();
            range.setStart(walker.currentNode, at);
            range.setEnd(walker.currentNode, at + word.length);
            ranges.push(range);
          }
        }
      }
    }
    CSS.highlights.set("found", new Highlight(...ranges));
  };

  const update = () => {
    const typed = search.value.toLowerCase().match(/"[^"]*\s[^"]*"|\S+/g) || []; // words, or several in quotes
    const words = typed.map((one) => (/\s/.test(one) ? one.slice(1, -1) : one));
    const actions = boxes.filter((one) => one.checked).map((one) => one.value);
    texts = texts || indexed();
    if (words.length && !unsearched) unsearched = opened();
    if (!words.length && unsearched) {
      reopen(unsearched);
      unsearched = null;
    }
    let count = 0;
    const shown = [];
    groups.forEach((group, number) => {
      const { shared, members, own } = texts[number];
      const acts = group.dataset.actions.split(" ");
      const wanted = (!actions.length || actions.some((one) => acts.includes(one)))
        && (!section.value || section.value === group.dataset.section)
        && (!status || !status.value || status.value === group.closest("section.environment").dataset.status);
      const missing = words.filter((word) => !shared.includes(word));
      let found = missing.length ? 0 : Number(group.dataset.count);
      members.forEach((member, index) => {
        member.hidden = !missing.every((word) => own[index].includes(word));
        if (missing.length && !member.hidden) found += 1;
      });
      group.hidden = !wanted || !found;
      if (group.hidden) return;
      count += found;
      shown.push([group, missing.length > 0]);
    });
    if (words.length && shown.length <= OPENED) {
      for (const [group, byMember] of shown) {
        group.open = true;
        if (byMember) all(".members", group).forEach((one) => { one.open = true; });
      }
    }
    paint(words);
    const noun = total === 1 ? "resource" : "resources";
    for (const one of environments) {
      const inside = all("details.group", one);
      const text = one.textContent.toLowerCase();
      one.hidden = (status && status.value && status.value !== one.dataset.status)
        || ((actions.length > 0 || section.value) && inside.every((group) => group.hidden))
        || (words.length > 0 && inside.every((group) => group.hidden) && !words.every((word) => text.includes(word)));
    }
    const narrowed = words.length || actions.length || section.value || (status && status.value);
    byId("shown").textContent = narrowed ? `${count} of ${total} ${noun} shown` : `${total} ${noun}`;
  };

  const reset = () => {
    search.value = "";
    section.value = "";
    if (status) status.value = "";
    boxes.forEach((one) => { one.checked = false; });
    update();
  };

  search.addEventListener("input", update);
  section.addEventListener("change", update);
  if (status) status.addEventListener("change", update);
  boxes.forEach((one) => one.addEventListener("change", update));
  const fold = (open) => groups.filter((one) => !one.hidden)
    .forEach((group) => [group, ...all("details", group)].forEach((one) => { one.open = open; }));
  byId("expand").addEventListener("click", () => fold(true));
  byId("collapse").addEventListener("click", () => fold(false));

  // --- keys ---
  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "Escape" && event.target === search) {
      event.preventDefault();
      search.value = "";
      update();
    }
  });

  // --- links to blocks open them, also where a filter hides them ---
  const reveal = (hash) => {
    const target = groups.find((one) => `#${one.id}` === hash);
    if (!target) {
      if (environments.some((one) => one.hidden && `#${one.id}` === hash)) reset();
      return;
    }
    if (target.hidden) reset();
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", () => reveal(location.hash));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    const hash = link && link.getAttribute("href");
    if (hash && hash === location.hash) reveal(hash);
  });
  tools.hidden = false;
  reveal(location.hash);
})();
