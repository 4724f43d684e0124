// What a test measures in a page; every function returns what is wrong, or what it has counted.
window.measured = {
  // Texts whose contrast with what is behind them is below `least`.
  contrast(least) {
    const channels = (color) => color.match(/[\d.]+/g).map(Number);
    const over = (top, under) => {
      const alpha = top[3] === undefined ? 1 : top[3];
      return [0, 1, 2].map((part) => top[part] * alpha + under[part] * (1 - alpha));
    };
    const light = (color) => {
      const parts = color.map((part) => part / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const ratio = (one, other) => {
      const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
      return (high + 0.05) / (low + 0.05);
    };
    const behind = (element) => {
      if (!element) return [255, 255, 255];
      const style = getComputedStyle(element);
      const box = element.closest("svg .box");
      if (box) return channels(getComputedStyle(box.querySelector("rect")).fill);
      const own = channels(style.backgroundColor);
      return own[3] === undefined ? own : over(own, behind(element.parentElement));
    };
    const low = [];
    let count = 0;
    const judge = (what, color, ground) => {
      count += 1;
      const found = ratio(over(channels(color), ground), ground);
      if (found < least) low.push(`${what}: ${found.toFixed(2)} (${color} on ${ground})`);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("title")) continue;
      const style = getComputedStyle(element);
      judge(walker.currentNode.data.trim().slice(0, 40), element.closest("svg") ? style.fill : style.color, behind(element));
    }
    const search = document.getElementById("search");
    if (search) judge("placeholder", getComputedStyle(search, "::placeholder").color, behind(search));
    const found = getComputedStyle(document.body, "::highlight(found)");
    judge("found", found.color, channels(found.backgroundColor));
    return { low, count };
  },

  // Texts that are not shown.
  unseen() {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || element.closest("script, title, .tools, .skip")) continue;
      if (!element.checkVisibility({ contentVisibilityAuto: true })) texts.push(walker.currentNode.data.trim());
    }
    return texts;
  },

  // What stands out of the window at the right, and cannot be scrolled in a box of its own.
  overflow() {
    const wide = [...document.body.querySelectorAll("*")].filter((one) => !one.closest(".picture svg, .skip"));
    const out = wide.filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
    return [document.documentElement.scrollWidth - document.documentElement.clientWidth, out.map((one) => one.outerHTML.slice(0, 60))];
  },

  // The element with the focus, and whether one sees that.
  focus() {
    const one = document.activeElement;
    const name = one.id || one.className || one.name || one.closest("details")?.id || "";
    return [`${one.tagName.toLowerCase()} ${name}`.trim(), getComputedStyle(one).outlineStyle !== "none"];
  },

  shown: () => [...document.querySelectorAll("details.group")].filter((one) => one.checkVisibility()).map((one) => one.id),
};
