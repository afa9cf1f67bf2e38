// The recordings below Playwright's own runner: a context per test is its default.
import { test } from '@playwright/test';
import { perform, recordings } from './playwright.mjs';

recordings().forEach((recording, index) => {
  test(`${index} ${recording.title}`, ({ page }) => perform(page, recording));
});
