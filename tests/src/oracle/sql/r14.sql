--@ due AS SELECT m.*, o.full_name AS employer_name FROM at_home m JOIN org o ON o.org = m.org WHERE o.field = 'agency' AND m.in_service = 'yes'
--@ active AS SELECT c.*, CASE $SIDE WHEN 'home' THEN COALESCE(e.parent, c.ru) ELSE c.ru END AS at, c.org AS community FROM l_member_checkins c LEFT JOIN unit e ON e.name = c.employer_org WHERE BY(c.checked_in_on) AND (c.status IN ('registered', 'confirmed') OR (c.status = 'left' AND AFTER(c.left_on)))
--@ service AS SELECT s.*, c.rid AS checkin, c.org AS community, CASE $SIDE WHEN 'home' THEN COALESCE(e.parent, c.ru) ELSE c.ru END AS at FROM l_member_community_services s JOIN l_member_checkins c ON c.ru = s.ru AND c.name = s.checkin_ref AND (c.checked_in_on = '' OR c.checked_in_on <= s.served_on) LEFT JOIN unit e ON e.name = c.employer_org WHERE UNTIL(s.served_on)
--@ served AS SELECT s.* FROM service s JOIN l_member_checkins c ON c.rid = s.checkin WHERE YEAR(s.served_on) AND (c.left_on = '' OR s.served_on <= c.left_on)
--@ rated AS SELECT DISTINCT a.at, a.community, a.rid, s.rating, (UNTIL(s.fed_back_on)) AS back FROM active a JOIN service s ON s.checkin = a.rid WHERE s.rating <> ''
--= 1 应报到数
SELECT ru, org, 1 AS v FROM due
--= 2 已报到数: of these, with an active check-in, each person once; of a community, its active check-ins
SELECT d.ru, d.org, 1 AS v FROM due d WHERE $SIDE = 'home' AND EXISTS (SELECT 1 FROM active a
  WHERE (a.id_card <> '' AND d.id_card <> '' AND a.id_card = d.id_card)
    OR ((a.id_card = '' OR d.id_card = '') AND a.name = d.name AND a.employer_org = d.employer_name))
UNION ALL SELECT at, community, 1 FROM active WHERE $SIDE = 'community'
--= 3 报到率 = 2 / 1
--= 4 认领岗位人数
SELECT at AS ru, community AS org, 1 AS v FROM active WHERE trim(post_kind) <> ''
--= 5 岗位数
SELECT at AS ru, community AS org, length(trim(post_kind)) - length(replace(trim(post_kind), ' ', '')) + 1 AS v FROM active WHERE trim(post_kind) <> ''
--= 6 结亲户数
SELECT at AS ru, community AS org, kin_household + 0 AS v FROM active
--= 7 服务次数: while the check-in lasted
SELECT at AS ru, community AS org, 1 AS v FROM served
--= 8 小时数
SELECT at AS ru, community AS org, hours + 0 AS v FROM served
--= 9 受益人
SELECT at AS ru, community AS org, beneficiaries + 0 AS v FROM served
--= 10 已评价: different active check-ins with a yearly rating
SELECT DISTINCT at AS ru, community AS org, rid, 1 AS v FROM rated
--= 11 优秀
SELECT DISTINCT at AS ru, community AS org, rid, 1 AS v FROM rated WHERE rating = 'excellent'
--= x1 rated and fed back
SELECT DISTINCT at AS ru, community AS org, rid, 1 AS v FROM rated WHERE back
--= x2 active check-ins
SELECT at AS ru, community AS org, 1 AS v FROM active
--= 12 反馈率 = x1 / 2
--= 13 网格数
SELECT ru, org, 1 AS v FROM l_grid_cells
--= 14 建党组织网格
SELECT ru, org, 1 AS v FROM l_grid_cells WHERE grid_branch <> ''
