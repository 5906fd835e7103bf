-- What was so on the day. UNTIL(x): x is filled and not later than the day; BY(x): blank or not later; AFTER(x): filled and
-- later; SINCE(x): filled and not before the first day of the period; YEAR(x): filled and in the campaign year.
CREATE VIEW org_any AS SELECT o.*, u.name AS full_name FROM l_organisations o JOIN unit u ON u.id = o.unit;
CREATE VIEW org AS SELECT * FROM org_any
WHERE BY(established_on) AND (org_status = 'active' OR (org_status IN ('merged', 'dissolved') AND AFTER(status_on)));
CREATE VIEW branch AS SELECT * FROM org WHERE org_type IN ('branch', 'joint_branch', 'temporary_branch');
CREATE VIEW person AS SELECT * FROM l_members WHERE member_category IN ('formal', 'probationary', '');
CREATE VIEW member AS
SELECT m.*, CASE WHEN AFTER(formal_on) THEN 'probationary' ELSE member_category END AS category
FROM person m
WHERE BY(joined_on) AND BY(relation_in_on) AND (membership_state IN ('normal', '') OR AFTER(state_on));
CREATE VIEW secretary AS
SELECT s.* FROM l_secretaries s JOIN org o ON o.org = s.org
WHERE s.year = $Y AND BY(s.took_office_on) AND NOT (s.adjust_action = 'adjusted' AND BY(s.adjusted_on));
CREATE VIEW team_secretary AS
SELECT * FROM l_leadership_team WHERE party_post = 'secretary' AND BY(took_office_on) AND NOT UNTIL(left_on);
CREATE VIEW outflow AS SELECT * FROM l_floating_members
WHERE direction = 'out' AND BY(flow_on) AND NOT UNTIL(returned_on);
CREATE VIEW inflow AS SELECT * FROM l_floating_members
WHERE direction = 'in' AND BY(flow_on) AND NOT UNTIL(returned_on);
CREATE VIEW at_home AS SELECT m.* FROM member m JOIN unit h ON h.id = m.unit WHERE NOT EXISTS (SELECT 1 FROM outflow f
  WHERE (f.id_card <> '' AND m.id_card <> '' AND f.id_card = m.id_card)
    OR ((f.id_card = '' OR m.id_card = '') AND f.name = m.name AND f.home_org = h.name));
CREATE VIEW due_member AS SELECT * FROM at_home WHERE NOT (is_lost = 'yes' AND BY(lost_on));
CREATE VIEW hardship AS SELECT * FROM l_hardship_members
WHERE recognised = 'recognised' AND BY(recognised_on) AND year = $Y AND NOT (exited_on <> '' AND exited_on < $Y || '-01-01');
CREATE VIEW mechanism AS SELECT m.* FROM l_mechanisms m
WHERE m.status IN ('adopted', 'operating') AND m.review_result <> 'not_effective' AND BY(m.adopted_on);
CREATE VIEW kinds AS SELECT b.ru, b.org, b.org_type,
  (SELECT count(DISTINCT m.mechanism_kind) FROM mechanism m WHERE m.org = b.org) AS k FROM org b;
CREATE VIEW attended AS
SELECT s.ru, s.org, s.name, a.hours FROM secretary s
JOIN l_training_attendance a ON (a.id_card <> '' AND s.id_card <> '' AND a.id_card = s.id_card)
  OR ((a.id_card = '' OR s.id_card = '') AND a.name = s.name AND (a.org = s.org OR (a.org IS NULL AND a.ru = s.ru)))
WHERE a.attended = 'yes'
  AND EXISTS (SELECT 1 FROM l_training_sessions t WHERE t.title = a.session_ref AND UNTIL(t.start_on) AND YEAR(t.start_on));
