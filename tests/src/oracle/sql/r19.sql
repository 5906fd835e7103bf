--@ inpost AS SELECT * FROM l_graduate_village_officials WHERE BY(contract_from) AND (contract_to = '' OR contract_to >= $D)
--@ posted AS SELECT * FROM l_dispatched_cadres WHERE BY(from_date) AND (to_date = '' OR to_date >= $D) AND NOT UNTIL(returned_on)
--@ official AS SELECT * FROM l_village_officials WHERE year = $Y AND BY(took_office_on) AND (incumbency = 'incumbent' OR (incumbency = 'former' AND AFTER(left_on)))
--= 1 在岗数: the contract runs on the day
SELECT ru, org, 1 AS v FROM inpost
--= 2 本年新聘
SELECT ru, org, 1 AS v FROM l_graduate_village_officials WHERE recruited_year = $Y AND BY(posted_on)
--= 3 优秀
SELECT ru, org, 1 AS v FROM inpost WHERE annual_result = 'excellent'
--= 4 称职
SELECT ru, org, 1 AS v FROM inpost WHERE annual_result = 'competent'
--= 5 基本称职
SELECT ru, org, 1 AS v FROM inpost WHERE annual_result = 'basic'
--= 6 不称职
SELECT ru, org, 1 AS v FROM inpost WHERE annual_result = 'incompetent'
--= 7 任期届满: the contract ends in the year
SELECT ru, org, 1 AS v FROM l_graduate_village_officials WHERE YEAR(contract_to) AND BY(contract_from)
--= 8 续聘: of these
SELECT ru, org, 1 AS v FROM l_graduate_village_officials WHERE YEAR(contract_to) AND BY(contract_from) AND renewal = 'renewed'
--= 9 有序流动
SELECT ru, org, 1 AS v FROM l_graduate_village_officials WHERE outflow <> ''
--= 10 创业人数
SELECT ru, org, 1 AS v FROM l_graduate_village_officials WHERE startup_project <> ''
--= 11 到村任职
SELECT ru, org, 1 AS v FROM posted WHERE dispatch_kind = 'village'
--= 12 联系后进
SELECT ru, org, 1 AS v FROM posted WHERE dispatch_kind = 'village' AND links_backward_org = 'yes'
--= x1
SELECT ru, org, days_in_village + 0 AS v FROM posted WHERE dispatch_kind = 'village'
--= 13 驻村天数(人均) = x1 / 11
--= 14 帮扶项目
SELECT ru, org, projects_count + 0 AS v FROM l_dispatched_cadres WHERE BY(from_date)
--= 15 落实资金(万元)
SELECT ru, org, funds_wan / 10000.0 AS v FROM l_dispatched_cadres WHERE BY(from_date)
--= 16 驻企帮扶
SELECT ru, org, 1 AS v FROM posted WHERE dispatch_kind = 'enterprise'
--= 17 党建指导员
SELECT ru, org, 1 AS v FROM posted WHERE dispatch_kind = 'instructor'
--= 18 参加养老保险数
SELECT ru, org, 1 AS v FROM official WHERE pension_insured = 'yes'
--= x2
SELECT ru, org, total_pay + 0 AS v FROM official
--= x3
SELECT ru, org, 1 AS v FROM official
--= 19 人均报酬(元) = x2 / x3
